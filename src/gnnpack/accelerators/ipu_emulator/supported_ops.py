"""Which operations an IPU has, by the names torch traces them under.

Source: PopTorch 3.3's user guide, "IPU supported operations", read together with the handlers
registered in PopTorch's ``popart_canonicalization``. torch breaks some of the guide's functions
into parts before a tracer sees them: `PARTS` names those. The guide warns that it may not list
every caveat, and so may this table.
"""

from __future__ import annotations

CREATION = """
    arange empty empty_like empty_permuted empty_strided fill full full_like new_empty
    new_empty_strided new_full new_ones new_zeros ones ones_like scalar_tensor zero zeros
    zeros_like
"""
INDEXING = """
    alias as_strided bucketize cat chunk clone constant_pad_nd contiguous copy detach diagonal
    expand expand_as flatten flip gather index index_fill index_put index_reduce index_select
    masked_fill movedim narrow permute pixel_shuffle reflection_pad1d reflection_pad2d repeat
    replication_pad1d replication_pad2d replication_pad3d reshape roll scatter scatter_add
    scatter_reduce select slice split split_with_sizes squeeze stack swapaxes t to transpose tril
    triu type_as unbind unflatten unsqueeze view where
"""
RANDOM = """
    bernoulli exponential normal rand rand_like randint randn randn_like random randperm uniform
"""
POINTWISE = """
    abs acos acosh add addcdiv addcmul asin asinh atan atan2 atanh bitwise_and bitwise_not
    bitwise_or bitwise_xor ceil clamp clamp_max clamp_min cos cosh div erf erfc exp expm1 floor
    floor_divide fmod frac isnan log log10 log1p log2 log_sigmoid logical_and logical_not
    logical_or logical_xor maximum minimum mul neg pow reciprocal remainder round rsqrt rsub
    sigmoid sign sin sinh sqrt square sub tan tanh true_divide trunc
"""
REDUCTIONS = """
    all amax amin any argmax argmin count_nonzero frobenius_norm linalg_vector_norm logsumexp max
    mean median min norm prod std std_mean sum var var_mean
"""
COMPARISONS = "argsort eq ge gt le lt ne sort topk"
MATRICES = """
    addmm addmv baddbmm bilinear bmm cartesian_prod cdist cosine_similarity cross cumsum dot einsum
    linalg_cross linalg_matrix_norm linear matmul meshgrid mm mv pairwise_distance tensordot
"""
LAYERS = """
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d avg_pool1d avg_pool2d avg_pool3d
    batch_norm celu convolution dropout elu embedding embedding_bag gelu glu group_norm gru
    hardshrink hardsigmoid hardswish hardtanh instance_norm layer_norm leaky_relu log_softmax lstm
    max_pool1d max_pool2d max_pool3d prelu relu rrelu selu silu softmax softplus softshrink
    threshold upsample_bicubic2d upsample_nearest1d upsample_nearest2d upsample_nearest3d
"""
LOSSES = """
    binary_cross_entropy binary_cross_entropy_with_logits cosine_embedding_loss cross_entropy_loss
    ctc_loss hinge_embedding_loss kl_div l1_loss margin_ranking_loss mse_loss nll_loss
    poisson_nll_loss smooth_l1_loss soft_margin_loss triplet_margin_loss
"""
# What torch calls the pieces of the functions above.
PARTS = """
    _adaptive_avg_pool2d _adaptive_avg_pool3d _cdist_forward _ctc_loss _embedding_bag
    _embedding_bag_forward_only _euclidean_dist _log_softmax _native_batch_norm_legit _prelu_kernel
    _reshape_alias _softmax _to_copy _unsafe_view _weight_norm _weight_norm_interface
    batch_norm_no_training lift_fresh lift_fresh_copy linalg_norm log_sigmoid_forward
    max_pool2d_with_indices max_pool3d_with_indices native_batch_norm native_dropout
    native_group_norm native_layer_norm nll_loss_forward nll_loss2d_forward view_as_real
"""

SUPPORTED = frozenset(
    " ".join(
        (CREATION, INDEXING, RANDOM, POINTWISE, REDUCTIONS, COMPARISONS, MATRICES, LAYERS, LOSSES)
    ).split()
) | frozenset(PARTS.split())

# PopTorch's own words, with the cure behind them.
DYNAMIC_SHAPE = (
    "Operations using aten::nonzero are unsupported because the output shape is determined by the "
    "tensor values. The IPU cannot support dynamic output shapes."
)
EAGER_ONLY = (
    "aten::item is only supported in eager mode: a traced model cannot read the value of a tensor "
    "(.item(), .tolist(), .cpu(), .numpy(), bool(), int() or float() of one, or `if` on one). Keep "
    "it a tensor, with torch.where for the choice, and return what the host needs."
)
MASK_CURE = " Keep every row and mask: torch.where(mask, x, 0), or x[mask] = value."

UNSUPPORTED = {
    "_local_scalar_dense": EAGER_ONLY,
    "item": EAGER_ONLY,
    "allclose": EAGER_ONLY,
    "equal": EAGER_ONLY,
    "is_nonzero": EAGER_ONLY,
    "nonzero": DYNAMIC_SHAPE + MASK_CURE,
    "nonzero_numpy": DYNAMIC_SHAPE + MASK_CURE,
    "argwhere": DYNAMIC_SHAPE + MASK_CURE,
    "masked_select": DYNAMIC_SHAPE + MASK_CURE,
    "masked_scatter": DYNAMIC_SHAPE + MASK_CURE,
    "_unique": DYNAMIC_SHAPE + " Find the unique values in the data loader.",
    "_unique2": DYNAMIC_SHAPE + " Find the unique values in the data loader.",
    "unique_dim": DYNAMIC_SHAPE + " Find the unique values in the data loader.",
    "unique_consecutive": DYNAMIC_SHAPE + " Find the unique values in the data loader.",
    "repeat_interleave": DYNAMIC_SHAPE
    + " Repeat with x[index], the index made in the data loader.",
    # An IPU has it for a fixed number of bins; torch on a CPU takes the number from the values.
    "bincount": "aten::bincount of the emulator has a shape determined by the tensor values. Count "
    "with zeros(n).scatter_add(0, index, ones).",
    "segment_reduce": "aten::segment_reduce has no implementation on the IPU. Use "
    "zeros.scatter_add(0, index, x).",
    "index_add": "aten::index_add has no implementation on the IPU. Use "
    "zeros.scatter_add(0, index[:, None].expand_as(x), x).",
    "huber_loss": "aten::huber_loss has no implementation on the IPU. F.smooth_l1_loss with "
    "beta=delta, times delta, is the same; or write it with torch.where and "
    "poptorch.identity_loss.",
    "logaddexp": "aten::logaddexp has no implementation on the IPU. Use the larger plus log1p(exp("
    "-abs(difference))).",
    "hypot": "aten::hypot has no implementation on the IPU. Use sqrt(x * x + y * y).",
    "nan_to_num": "aten::nan_to_num has no implementation on the IPU. Use torch.where(isnan(x), "
    "value, x).",
    "lerp": "aten::lerp has no implementation on the IPU. Use x + weight * (y - x).",
}


def refusal(name: str) -> str | None:
    """Why an IPU cannot run an operation, or None where it can.

    Args:
        name: torch's base name of it, without ``aten::`` and without the trailing underscore of
            in-place forms.
    """
    if name in UNSUPPORTED:
        return UNSUPPORTED[name]
    if name in SUPPORTED:
        return None
    return (
        f"aten::{name} is neither among PopTorch's supported operations nor known to be "
        "unsupported; on an IPU it would most likely fail to compile. Write it with supported ones "
        '(PopTorch user guide, "IPU supported operations").'
    )

"""The main job: `python train.py dataset=qm9 packer=lpfhp`; see `python train.py --help`."""

from gnnpack.commands.train import main

if __name__ == "__main__":
    main()

"use strict";
// The page is whole without this: it adds the theme switch, sorting, searching, copying and the
// interactive figures.
(() => {
  const root = document.documentElement;
  const SHOWN = 15; // rows of a long table before "show all"

  // ---- theme: as the system has it, until somebody chooses
  const system = matchMedia("(prefers-color-scheme: dark)");
  const remembered = () => { try { return localStorage.getItem("gnnpack-theme"); } catch { return null; } };
  const remember = (theme) => { try { localStorage.setItem("gnnpack-theme", theme); } catch { /* file:// may refuse */ } };
  const asked = new URLSearchParams(location.search).get("theme");
  let theme = ["light", "dark"].includes(asked) ? asked : remembered() || (system.matches ? "dark" : "light");
  const button = document.getElementById("theme");
  const setTheme = (next) => {
    theme = next;
    root.dataset.theme = theme;
    button.textContent = theme === "dark" ? "Light" : "Dark";
    button.setAttribute("aria-label", `Show the page ${theme === "dark" ? "light" : "dark"}`);
    for (const place of document.querySelectorAll(".live.drawn")) Plotly.relayout(place, colours(place));
  };
  button.hidden = false;
  button.addEventListener("click", () => { setTheme(theme === "dark" ? "light" : "dark"); remember(theme); });
  system.addEventListener("change", () => { if (!remembered()) setTheme(system.matches ? "dark" : "light"); });

  // ---- figures
  const css = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const colours = (place) => {
    const told = { "font.color": css("--ink"), "hoverlabel.bgcolor": css("--card"), "hoverlabel.bordercolor": css("--line"), "hoverlabel.font.color": css("--ink") };
    for (const axis of Object.keys(place.layout || {}).filter((key) => /^[xy]axis\d*$/.test(key))) {
      Object.assign(told, { [`${axis}.gridcolor`]: css("--line"), [`${axis}.zerolinecolor`]: css("--line"), [`${axis}.linecolor`]: css("--soft") });
    }
    (place.layout?.annotations || []).forEach((_, i) => { told[`annotations[${i}].font.color`] = css("--soft"); });
    return told;
  };
  const draw = (place) => {
    const figure = JSON.parse(document.getElementById(place.dataset.figure).textContent);
    place.style.height = `${figure.layout.height || 450}px`;
    Plotly.newPlot(place, figure.data, figure.layout, {
      responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "",
      // Named one by one: newer ones may send a figure somewhere.
      modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
    }).then(() => { place.classList.add("drawn"); return Plotly.relayout(place, colours(place)); });
  };

  // ---- tables
  const numberOf = (text) => {
    const found = text.replace(/,/g, "").match(/^[+-]?\d+(\.\d+)?(e[+-]?\d+)?/i);
    return found ? parseFloat(found[0]) : NaN;
  };
  const units = { MiB: 1, GiB: 1024 };
  const valueOf = (cell) => {
    const text = cell.textContent.trim();
    return numberOf(text) * (units[text.split(" ").pop()] || 1);
  };
  const sort = (table, column, down) => {
    const rows = [...table.tBodies[0].rows];
    const numeric = table.tHead.rows[0].cells[column].classList.contains("num");
    const keys = new Map(rows.map((row) => {
      const cell = row.cells[column];
      return [row, numeric ? valueOf(cell) : cell.textContent];
    }));
    rows.sort((a, b) => {
      const [x, y] = [keys.get(a), keys.get(b)];
      if (!numeric) return (down ? -1 : 1) * x.localeCompare(y, undefined, { numeric: true });
      // What was not measured stays at the end.
      if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y);
      return (down ? -1 : 1) * (x - y);
    });
    table.tBodies[0].append(...rows);
    for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
    table.tHead.rows[0].cells[column].setAttribute("aria-sort", down ? "descending" : "ascending");
  };
  const markdown = (table) => {
    const clean = (text) => text.replace(/\s+/g, " ").trim().replace(/\\/g, "\\\\").replace(/\|/g, "\\|").replace(/[<>*_`]/g, "\\$&");
    const words = (cell) => clean(cell.dataset.markdown ?? cell.textContent);
    const heads = [...table.tHead.rows[0].cells];
    const lines = [heads.map(words), heads.map((cell) => (cell.classList.contains("num") ? "--:" : "---"))];
    for (const row of table.tBodies[0].rows) if (!row.dataset.unmatched) lines.push([...row.cells].map(words));
    return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n") + "\n";
  };
  const copy = async (table, button) => {
    const text = markdown(table);
    const said = button.textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = said; }, 1500);
    } catch {
      // Without the right to the clipboard: show it to be selected.
      const card = button.closest(".card");
      let area = card.querySelector("textarea.copy");
      if (!area) {
        area = Object.assign(document.createElement("textarea"), { className: "copy", readOnly: true });
        area.setAttribute("aria-label", "The table as Markdown");
        card.querySelector(".bar").after(area);
      }
      area.value = text;
      area.focus();
      area.select();
      let copied = false;
      try { copied = document.execCommand("copy"); } catch { /* selected is enough */ }
      button.textContent = copied ? "Copied" : "Press Ctrl+C";
    }
  };
  const equip = (card) => {
    const table = card.querySelector("table");
    const bar = card.querySelector(".bar");
    const rows = () => [...table.tBodies[0].rows];
    const total = table.tBodies[0].rows.length;
    const long = total > SHOWN;
    const count = bar.querySelector(".count");
    const paper = card.querySelector(".on-paper");
    let all = !long;
    let search = "";
    const show = () => {
      let matched = 0;
      let seen = 0;
      for (const row of rows()) {
        const hit = !search || row.textContent.toLowerCase().includes(search);
        if (hit) matched += 1; 
        const visible = hit && (all || matched <= SHOWN);
        if (visible) seen += 1;
        row.hidden = !visible;
        if (hit) delete row.dataset.unmatched; else row.dataset.unmatched = "1";
      }
      const of = matched === total ? "" : ` found of ${total.toLocaleString("en")}`;
      count.textContent = seen < matched
        ? `${seen} of ${matched.toLocaleString("en")} rows${of && ` ${of}`}`
        : `${matched.toLocaleString("en")} ${matched === 1 ? "row" : "rows"}${of}`;
      paper.textContent = seen < total ? `${seen} of ${total.toLocaleString("en")} rows; the page shows all.` : "";
      more.hidden = all || seen === matched;
    };
    const make = (text, act) => {
      const made = Object.assign(document.createElement("button"), { type: "button", textContent: text });
      made.addEventListener("click", () => act(made));
      bar.append(made);
      return made;
    };
    if (long) {
      const input = Object.assign(document.createElement("input"), { type: "search", placeholder: "Search rows" });
      input.setAttribute("aria-label", "Search rows");
      input.addEventListener("input", () => { search = input.value.trim().toLowerCase(); show(); });
      bar.append(input);
    }
    const more = make(`Show all ${total.toLocaleString("en")}`, () => { all = true; show(); });
    make("Copy as Markdown", (made) => copy(table, made));
    [...table.tHead.rows[0].cells].forEach((cell, column) => {
      const made = Object.assign(document.createElement("button"), { type: "button", textContent: cell.textContent });
      cell.replaceChildren(made);
      made.addEventListener("click", () => {
        sort(table, column, cell.getAttribute("aria-sort") === "ascending");
        show();
      });
    });
    // A link to a row that is folded away unfolds its table.
    card.addEventListener("reveal", () => { all = true; search = ""; show(); });
    show();
  };
  const reveal = () => {
    let id = "";
    try { id = decodeURIComponent(location.hash.slice(1)); } catch { return; }
    const row = id && document.getElementById(id);
    if (!row || !row.hidden) return;
    row.closest(".card").dispatchEvent(new Event("reveal"));
    row.scrollIntoView({ block: "center" });
  };

  setTheme(theme);
  document.querySelectorAll(".table").forEach(equip);
  addEventListener("hashchange", reveal);
  reveal();
  if (window.Plotly) {
    root.classList.add("interactive");
    document.querySelectorAll(".live").forEach(draw);
  }
})();

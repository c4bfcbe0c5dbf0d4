"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Theme: the choice outlives the page where the browser allows a file to store anything.
  const theme = document.getElementById("theme");
  const paint = (choice) => { if (choice) document.documentElement.dataset.theme = choice; else delete document.documentElement.dataset.theme; };
  try { theme.value = localStorage.getItem("report-theme") || ""; } catch { theme.value = ""; }
  paint(theme.value);
  theme.addEventListener("change", () => {
    paint(theme.value);
    try { localStorage.setItem("report-theme", theme.value); } catch { /* the choice lasts as long as the page */ }
  });

  // Sorting: best first, then the other way round, then back to the order of the paper.
  const parsed = (text) => {
    const plain = text.replace("−", "-").replace(/,/g, "").trim();
    return plain !== "" && Number.isFinite(Number(plain)) ? Number(plain) : text.trim();
  };
  const valueOf = (cell, by) => {
    if ("ours" in cell.dataset) return cell.dataset[by] === "" ? "" : Number(cell.dataset[by]);
    return parsed(cell.dataset.v ?? cell.textContent);
  };
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true }));
  for (const table of all("table[data-sortable]")) {
    const body = table.tBodies[0];
    const order = [...body.rows];
    const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
    const tools = document.querySelector(`.tools[data-for="${table.id}"]`);
    const by = tools && tools.querySelector("[data-sort-by]");
    const arrange = (head) => {
      const direction = head ? head.getAttribute("aria-sort") : "none";
      table.classList.toggle("sorted", direction !== "none");
      if (direction === "none") { body.append(...order); return; }
      const column = heads.indexOf(head);
      const sign = direction === "ascending" ? 1 : -1;
      const keyed = order.map((row) => [valueOf(row.cells[column], by ? by.value : "ours"), row]);
      keyed.sort(([a], [b]) => (a === "") - (b === "") || (a === "" ? 0 : sign * compare(a, b)));
      body.append(...keyed.map(([, row]) => row));
    };
    const active = () => heads.find((head) => ["ascending", "descending"].includes(head.getAttribute("aria-sort")));
    for (const head of heads) {
      const button = head.querySelector("button");
      if (!button) continue;
      const cycle = head.dataset.better === "higher" ? ["descending", "ascending", "none"] : ["ascending", "descending", "none"];
      button.addEventListener("click", () => {
        const next = cycle[(cycle.indexOf(head.getAttribute("aria-sort")) + 1) % 3];
        for (const other of heads) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
        head.setAttribute("aria-sort", next);
        arrange(head);
      });
    }
    if (by) by.addEventListener("change", () => arrange(active()));
    if (tools) tools.querySelector("[data-reset]")?.addEventListener("click", () => {
      for (const head of heads) if (head.hasAttribute("aria-sort")) head.setAttribute("aria-sort", "none");
      arrange(null);
    });
  }

  // Filtering: a word anywhere in the row, and choices that must be among the row's own.
  for (const tools of all(".tools")) {
    const table = document.getElementById(tools.dataset.for);
    const find = tools.querySelector("[data-find]");
    const choices = all("[data-filter]", tools);
    const status = tools.querySelector(".status");
    const rows = [...table.tBodies[0].rows];
    const apply = () => {
      const word = find.value.trim().toLowerCase();
      let shown = 0;
      for (const row of rows) {
        const fits = row.textContent.toLowerCase().includes(word)
          && choices.every((choice) => !choice.value || row.dataset[choice.dataset.filter].split("|").includes(choice.value));
        row.hidden = !fits;
        shown += fits;
      }
      status.textContent = shown === rows.length ? `${shown} rows` : `${shown} of ${rows.length} rows`;
    };
    find.addEventListener("input", apply);
    for (const choice of choices) choice.addEventListener("change", apply);
    tools.querySelector("[data-beside]")?.addEventListener("change", (event) => table.classList.toggle("without", !event.target.checked));
    apply();
  }

  // Legends: a name hides its lines in all plots of the figure.
  for (const button of all(".legend button")) {
    button.addEventListener("click", () => {
      const shown = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(shown));
      for (const line of all(`.series[data-series="${button.dataset.series}"]`, button.closest(".figure"))) line.style.display = shown ? "" : "none";
    });
  }

  // Zoom: a row of pictures is flipped through in place, so that only what differs moves.
  const dialog = document.getElementById("zoom");
  const image = document.getElementById("zoom-image");
  const text = document.getElementById("zoom-text");
  let row = [], at = 0;
  const show = (index) => {
    at = (index + row.length) % row.length;
    const source = row[at].querySelector("img");
    image.src = source.src;
    image.alt = source.alt;
    text.textContent = row[at].dataset.caption;
  };
  for (const button of all("button.zoom")) {
    button.addEventListener("click", () => {
      row = all("button.zoom", button.closest(".zooms"));
      show(row.indexOf(button));
      dialog.showModal();
    });
  }
  all("[data-move]", dialog).forEach((button) => button.addEventListener("click", () => show(at + Number(button.dataset.move))));
  dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft" || event.key === "ArrowRight") { show(at + (event.key === "ArrowLeft" ? -1 : 1)); event.preventDefault(); }
  });
  dialog.addEventListener("close", () => row[at]?.focus());

  // A note that is followed from a table, and paper, need their folded parts open; a phone wants the contents folded.
  window.addEventListener("beforeprint", () => all("details").forEach((details) => { details.open = true; }));
  if (window.matchMedia("(max-width: 70rem)").matches) document.querySelector("nav details").open = false;
})();

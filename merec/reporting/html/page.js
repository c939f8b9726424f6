// A click on a heading sorts its table, a second one turns the order round, a third one brings the first back.
// Numbers are in data-value; cells without one are names, and dashes stay at the end.
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0], rows = [...body.rows], headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.title = "sort";
    button.append(...heading.childNodes);
    heading.append(button);
    const read = row => {
      const cell = row.cells[column], text = cell.textContent.trim();
      if (text === "–" || text === "") return null;
      return "value" in cell.dataset ? Number(cell.dataset.value) : text;
    };
    const compare = (x, y) => typeof x === "number" && typeof y === "number" ? x - y
      : String(x).localeCompare(String(y), "en", { numeric: true });
    button.addEventListener("click", () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" };
      const order = next[heading.getAttribute("aria-sort") ?? "none"];
      for (const other of headings) other.removeAttribute("aria-sort");
      if (order !== "none") heading.setAttribute("aria-sort", order);
      const sign = order === "descending" ? -1 : 1;
      const sorted = order === "none" ? rows : [...rows].sort((a, b) => {
        const x = read(a), y = read(b);
        return x === null || y === null ? (x === null) - (y === null) : sign * compare(x, y);
      });
      body.append(...sorted);
    });
  });
}
// A link into something folded away unfolds it; paper has the folded tables that are marked for it.
const unfold = () => {
  const id = decodeURIComponent(location.hash.slice(1));
  const target = id && document.getElementById(id);
  const folded = target && target.closest("details");
  if (folded && !folded.open) { folded.open = true; target.scrollIntoView(); }
};
addEventListener("hashchange", unfold);
unfold();
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details.print:not([open])")];
  for (const each of opened) each.open = true;
});
addEventListener("afterprint", () => { for (const each of opened) each.open = false; });

"use strict";
const rows = JSON.parse(document.getElementById("data").textContent);
const body = document.querySelector("#table tbody");
const ORDER = { failed: 4, degraded: 3, caveat: 2, outlier: 1 };

const escaped = (text) => String(text ?? "").replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const number = (value) => (value === null || value === undefined ? "" : String(+Number(value).toPrecision(4)));
const broken = (name) => escaped(name).replaceAll("_", "_<wbr>");
const link = (path, text) => path ? `<a href="${path}">${text}</a>` : text;
const LISTED = 12;
const items = (lines) => `<ul>${lines.map((line) => `<li>${escaped(line)}</li>`).join("")}</ul>`;
const list = (title, lines) => !lines.length ? "" : `<h4>${title}</h4>${items(lines.slice(0, LISTED))}` +
  (lines.length > LISTED ? `<details><summary>${lines.length - LISTED} more</summary>${items(lines.slice(LISTED))}</details>` : "");

/* what is sorted and searched, once */
for (const row of rows) {
  row.attention = Math.max(0, ...row.kinds.map((kind) => ORDER[kind])) * 1e6 + Math.min(row.times, 9e5);
  row.differs = row.parameters.length + row.references.length;
  row.text = [row.name, row.outcome, row.failure, row.facts, ...row.kinds, ...row.parameters,
    ...row.references, ...row.runs.flatMap((run) => [run.pipeline, run.context, ...run.degraded,
      ...run.remarks, ...run.products.map((product) => product.name)])].join(" ").toLowerCase();
}
const longest = Math.max(1e-9, ...rows.map((row) => row.seconds));

function thumbnail(row) {
  for (const run of [...row.runs].reverse())
    for (const { name, look } of run.products)
      if (look && look.jpeg)
        return `<img class="thumb" loading="lazy" decoding="async" alt="${escaped(name)}" src="data:image/jpeg;base64,${look.jpeg}">`;
  return '<span class="none">none</span>';
}

function bars(row) {
  const steps = row.runs.flatMap((run, index) =>
    run.steps.map(([step, , seconds]) => ({ step, seconds, index })));
  const parts = steps.filter((each) => each.seconds / longest > 0.004).map((each) =>
    `<i class="b${each.index % 5}" style="width:${(100 * each.seconds / longest).toFixed(2)}%" title="${escaped(each.step)}: ${number(each.seconds)} s"></i>`);
  return `${number(row.seconds)} s<div class="bars" aria-hidden="true">${parts.join("")}</div>`;
}

function made(row) {
  const line = document.createElement("tr");
  const differs = [...row.parameters, ...row.references];
  line.innerHTML = `<td>${thumbnail(row)}</td>
    <td><button type="button" class="open" aria-expanded="false">${broken(row.name)}</button></td>
    <td class="${/^(Completed|Cached|Skipped)$/.test(row.outcome) ? "" : "out"}">${escaped(row.outcome)}</td>
    <td>${row.kinds.map((kind) => `<span class="kind k-${kind}">${kind}</span>`).join(" ")}${row.kinds.includes("outlier") ? ` <span class="times">${number(row.times)} ×</span>` : ""}</td>
    <td>${escaped(row.facts)}</td><td>${bars(row)}</td><td>${row.memory} MB</td>
    <td>${differs.slice(0, 2).map(escaped).join("<br>")}${differs.length > 2 ? `<br>and ${differs.length - 2} more` : ""}</td>`;
  line.querySelector("button").addEventListener("click", () => toggle(row));
  return line;
}

function toggle(row, only) {
  const button = row.line.querySelector(".open");
  if (row.details) {
    if (only) return;
    row.details.remove();
    row.details = null;
  } else {
    row.details = document.createElement("tr");
    row.details.innerHTML = `<td colspan="8"><div class="details">${detail(row)}</div></td>`;
    row.line.after(row.details);
  }
  button.setAttribute("aria-expanded", String(Boolean(row.details)));
}

function detail(row) {
  return (row.failure ? `<p class="different">${escaped(row.failure)}</p>` : "") +
    list("Parameters that differ from most", row.parameters) +
    list("Reference files that differ from most", row.references) + row.runs.map(ofRun).join("");
}

function ofRun(run, index) {
  const most = Math.max(1e-9, ...run.steps.map((step) => step[2]));
  const steps = run.steps.map(([step, outcome, seconds, model]) =>
    `<tr><td>${escaped(step)}</td><td>${escaped(outcome)}</td><td>${number(seconds)} s</td>
     <td><div class="bars" aria-hidden="true"><i class="b${index % 5}" style="width:${100 * seconds / most}%"></i></div></td><td>${escaped(model)}</td></tr>`);
  return `<h3>${escaped(run.pipeline)}: ${escaped(run.outcome)}</h3>
    <p class="dim">${escaped(run.started)}, ${number(run.seconds)} s, ${Math.round(run.memory)} MB, ${escaped(run.context)}, ${run.inputs} input file${run.inputs === 1 ? "" : "s"} ·
    ${link(run.record, "provenance record")} · ${link(run.log, "log")}</p>
    ${list("Degraded", run.degraded)}${list("Caveats", run.remarks)}
    <div class="products">${run.products.map(ofProduct).join("")}</div>
    ${list("Warnings in the log", run.warnings)}
    <details><summary>Time of ${run.steps.length} steps</summary><table><tr><th>step</th><th></th><th>time</th><th></th><th>result</th></tr>${steps.join("")}</table></details>`;
}

function ofProduct(product) {
  const statistics = product.statistics.map(([name, value, typical, times, group]) =>
    `<tr><td>${escaped(name)}</td><td>${number(value)}</td><td>${number(typical)}</td>
     <td class="${Math.abs(times) >= 5 ? "out" : ""}">${number(times)}</td><td>${escaped(group)}</td></tr>`);
  return `<div>${link(product.link, `<code>${escaped(product.name)}</code>`)}
    ${product.look ? `<div class="look">${look(product.look, product.name, product.unit)}</div>` : ""}
    ${statistics.length ? `<details><summary>${statistics.length} statistics</summary><div class="wide"><table>
      <tr><th></th><th>value</th><th>median</th><th>× scatter</th><th>of</th></tr>${statistics.join("")}</table></div></details>` : ""}</div>`;
}

const FLAGS = ["DO_NOT_USE", "SATURATED", "JUMP_DET"];

/* a quick look: an image with its scale and flags, or a spectrum with its error */
function look(found, name, unit) {
  if (found.kind === "spectrum") return spectrum(found, name);
  const flags = found.flags
    ? `<img class="flags" alt="flags" src="data:image/png;base64,${found.flags}">` : "";
  const legend = found.flags
    ? '<label><input type="checkbox" class="switch" checked style="width:auto"> flags</label>' +
      FLAGS.map((flag, index) => ` <span class="flag"><i class="swatch f${index}"></i> ${flag}</span>`).join("") : "";
  const [width, height] = found.pixels;
  return `<div style="width:${24 * Math.min(1, width / height)}rem; max-width:100%"><div class="image"><img alt="${escaped(name)}" src="data:image/jpeg;base64,${found.jpeg}">${flags}</div>
    <div class="scale">${number(found.low)}<i></i>${number(found.high)} ${escaped(unit)}</div>
    <div class="dim">asinh stretch, ${[...found.shape].reverse().join(" × ")} pixels ${legend}</div></div>`;
}

function spectrum(found, name) {
  const points = found.wavelength.map((wavelength, i) => [wavelength, found.flux[i], found.error[i] ?? 0])
    .filter((point) => point[0] !== null);
  const good = points.filter((point) => point[1] !== null);
  if (!good.length) return '<p class="dim">no usable point</p>';
  const flux = good.map((point) => point[1]).sort((a, b) => a - b);
  const at = (share) => flux[Math.floor(share * (flux.length - 1))];
  const room = 0.25 * (at(0.99) - at(0.01)) || Math.abs(at(0.5)) || 1;
  const [low, high] = [at(0.01) - room, at(0.99) + room];
  const first = Math.min(...points.map((point) => point[0])), last = Math.max(...points.map((point) => point[0]));
  const x = (value) => (58 + 296 * (value - first) / (last - first || 1)).toFixed(1);
  const y = (value) => (165 - 150 * (Math.min(Math.max(value, low), high) - low) / (high - low)).toFixed(1);
  const runs = [];
  let open = null;
  for (const point of points) {
    if (point[1] === null) open = null;
    else if (open) open.push(point);
    else runs.push(open = [point]);
  }
  const drawn = runs.map((run) => {
    const above = run.map((p) => `${x(p[0])},${y(p[1] + p[2])}`), below = run.map((p) => `${x(p[0])},${y(p[1] - p[2])}`);
    return `<polygon class="band" points="${[...above, ...below.reverse()].join(" ")}"/>
      <polyline class="flux" points="${run.map((p) => `${x(p[0])},${y(p[1])}`).join(" ")}"/>`;
  });
  const gaps = points.filter((point) => point[1] === null).map((point) => `<path class="gap" d="M${x(point[0])} 168v5"/>`);
  return `<svg viewBox="0 0 360 200" role="img" aria-label="spectrum ${escaped(name)}">${drawn.join("")}${gaps.join("")}
    <path class="axis" d="M58 12V168H356"/><text x="58" y="186">${number(first)}</text>
    <text x="200" y="198" text-anchor="middle">wavelength (µm)</text><text x="354" y="186" text-anchor="end">${number(last)}</text>
    <text x="54" y="20" text-anchor="end">${Number(high).toPrecision(2)}</text><text x="54" y="166" text-anchor="end">${Number(low).toPrecision(2)}</text></svg>
    <div class="dim">flux with ± 1 error, ${found.points} points, means of ${found.per_point}; red: DO_NOT_USE</div>`;
}

/* the table: rows are made as they come into view */
const CHUNK = 60;
let shown = [], drawn = 0;
const end = document.createElement("tr");
end.innerHTML = '<td colspan="8"><button type="button" class="next">more</button></td>';
end.querySelector("button").addEventListener("click", () => draw(CHUNK));
new IntersectionObserver((seen) => seen.some((each) => each.isIntersecting) && draw(CHUNK),
  { rootMargin: "600px" }).observe(end);
window.addEventListener("beforeprint", () => draw(rows.length));

function draw(count) {
  const next = shown.slice(drawn, drawn + count);
  drawn += next.length;
  end.before(...next.flatMap((row) => {
    row.line ??= made(row);
    return row.details ? [row.line, row.details] : [row.line];
  }));
  end.hidden = drawn >= shown.length;
}
function show() {
  const words = document.getElementById("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  shown = rows.filter((row) => words.every((word) => row.text.includes(word)));
  drawn = 0;
  body.replaceChildren(end);
  draw(CHUNK);
  document.getElementById("count").textContent = `${shown.length} of ${rows.length}`;
}
function sort(key, down) {
  rows.sort((a, b) => (a[key] < b[key] ? -1 : a[key] > b[key] ? 1 : 0) * (down ? -1 : 1));
  for (const button of document.querySelectorAll("th button"))
    button.closest("th").setAttribute("aria-sort", button.dataset.key !== key ? "none" : down ? "descending" : "ascending");
  show();
}
for (const button of document.querySelectorAll("th button"))
  button.addEventListener("click", () => {
    const now = button.closest("th").getAttribute("aria-sort");
    const numeric = !["name", "outcome", "facts"].includes(button.dataset.key);
    sort(button.dataset.key, now === "none" ? numeric : now === "ascending");
  });
document.getElementById("search").addEventListener("input", show);
document.addEventListener("change", (event) => {
  if (event.target.matches(".switch"))
    event.target.closest(".look").querySelector(".flags").hidden = !event.target.checked;
});
for (const link of document.querySelectorAll("[data-open]"))
  link.addEventListener("click", (event) => {
    const row = rows.find((each) => each.name === link.dataset.open);
    if (!row) return;
    event.preventDefault();
    document.getElementById("search").value = "";
    show();
    draw(shown.indexOf(row) + 1 - drawn);
    toggle(row, true);
    row.line.querySelector(".open").focus();
    row.line.scrollIntoView({ block: "start" });
  });
for (const place of document.querySelectorAll("[data-look]"))
  place.innerHTML = `<code>${escaped(place.dataset.name)}</code>${look(JSON.parse(place.dataset.look), place.dataset.name, "")}`;
sort("attention", true);

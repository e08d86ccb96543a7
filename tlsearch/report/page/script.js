"use strict";
// What the page does: colours, charts once they are seen, and the pictures behind a cell. Nothing is fetched, and names
// from outside are only ever written as text.

const data = JSON.parse(document.getElementById("page-data").textContent);
const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");

// Colours. A figure says "@name"; "@scale:0.4" is a share of the way from --scale-low to --scale-high.

const COLOUR_KEYS = new Set(["color", "bgcolor", "bordercolor", "fillcolor"]);

function isDark() {
  return root.dataset.theme ? root.dataset.theme === "dark" : dark.matches;
}

const probe = document.createElement("span"); // what the style sheet makes of a name
probe.hidden = true;
document.body.append(probe);

function named(name) {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

function colour(name) {
  if (!name.startsWith("scale:")) return named(name);
  const share = Number(name.slice("scale:".length));
  const [low, high] = [named("scale-low"), named("scale-high")].map((end) => end.match(/[\d.]+/g).map(Number));
  return `rgb(${low.map((from, i) => Math.round(from + share * (high[i] - from))).join(",")})`;
}

function coloured(value, key) {
  if (Array.isArray(value)) return value.map((entry) => coloured(entry, key));
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, coloured(entry, name)]));
  }
  return typeof value === "string" && value.startsWith("@") && COLOUR_KEYS.has(key) ? colour(value.slice(1)) : value;
}

// Charts.

const CONFIG = { displayModeBar: false, responsive: true, showTips: false };

function startPlotly() {
  if (window.Plotly) return;
  const script = document.createElement("script");
  script.textContent = document.getElementById("page-plotly").textContent; // its hash stands in the page's policy
  document.head.append(script);
}

function axis(given) {
  const quiet = { gridcolor: colour("line"), linecolor: colour("line"), zerolinecolor: colour("line"), automargin: true };
  const title = given.title ? { title: { ...given.title, standoff: 10, font: { size: 12, color: colour("muted") } } } : {};
  return { ...quiet, ticks: "", fixedrange: true, ...given, ...title };
}

const PAPER_PX = 640; // what A4 and Letter have between their margins
let printing = false;

function layout(figure, place) {
  const given = coloured(figure.layout);
  const narrow = innerWidth < 600;
  const family = getComputedStyle(document.body).fontFamily;
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family, size: 12, color: colour("ink") },
    hoverlabel: { bgcolor: colour("raised"), bordercolor: colour("line"), font: { family, color: colour("ink"), size: 12 }, align: "left" },
    hovermode: "closest",
    hoverdistance: 30,
    dragmode: false,
    showlegend: figure.data.filter((trace) => trace.showlegend !== false).length > 1,
    legend: { orientation: "h", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom", font: { color: colour("muted") } },
    margin: { l: narrow ? 40 : 52, r: 12, t: 12, b: 44 },
    height: figure.height,
    width: printing ? Math.min(place.clientWidth, PAPER_PX) : undefined,
    ...given,
    xaxis: axis(given.xaxis),
    yaxis: axis(given.yaxis),
  };
}

function draw(place) {
  startPlotly();
  const figure = data.charts[place.dataset.chart];
  const first = !place.dataset.drawn;
  place.dataset.drawn = "yes";
  window.Plotly.react(place, coloured(figure.data), layout(figure, place), CONFIG);
  if (first && figure.lights_up) lightUp(place);
}

function lightUp(place) {
  const lines = () => place.querySelectorAll(".scatterlayer .trace");
  place.on("plotly_hover", (event) => {
    place.classList.add("lit");
    lines().forEach((line, i) => line.classList.toggle("under", i === event.points[0].curveNumber));
  });
  place.on("plotly_unhover", () => place.classList.remove("lit"));
}

const charts = [...document.querySelectorAll("[data-chart]")];
const seen = new IntersectionObserver(
  (entries) => {
    for (const entry of entries.filter((each) => each.isIntersecting)) {
      seen.unobserve(entry.target);
      draw(entry.target);
    }
  },
  { rootMargin: "200px" },
);
charts.forEach((place) => seen.observe(place));

function redraw() {
  charts.filter((place) => place.dataset.drawn).forEach(draw);
}

// Light and dark.

const themeSwitch = document.getElementById("page-theme");

function wear(theme) {
  root.dataset.theme = theme;
  themeSwitch.setAttribute("aria-pressed", String(isDark()));
  redraw();
}

themeSwitch.setAttribute("aria-pressed", String(isDark()));
themeSwitch.addEventListener("click", () => wear(isDark() ? "light" : "dark"));
dark.addEventListener("change", () => {
  themeSwitch.setAttribute("aria-pressed", String(isDark()));
  redraw();
});

// On paper every chart is drawn, colours are light, and whatever is folded up is open.

let before = null;
addEventListener("beforeprint", () => {
  const closed = [...document.querySelectorAll("details:not([open])")];
  before = { theme: root.dataset.theme, closed };
  closed.forEach((details) => (details.open = true));
  root.dataset.theme = "light";
  printing = true;
  charts.forEach(draw);
});
addEventListener("afterprint", () => {
  if (before === null) return;
  before.closed.forEach((details) => (details.open = false));
  if (before.theme === undefined) delete root.dataset.theme;
  else root.dataset.theme = before.theme;
  before = null;
  printing = false;
  redraw();
});

// The pictures behind a cell.

const dialog = document.getElementById("cell-pictures");

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function framed([uri, file, note]) {
  const item = element("li");
  const figure = element("figure");
  const image = uri ? element("img") : element("span", "no small copy", "frame");
  image.title = file;
  if (uri) Object.assign(image, { src: uri, alt: file });
  const caption = element("figcaption");
  const name = element("span", "", "file");
  const folders = file.split("/");
  name.append(...folders.flatMap((part, at) => (at < folders.length - 1 ? [`${part}/`, element("wbr")] : [part])));
  caption.append(element("span", note), name);
  figure.append(image, caption);
  item.append(figure);
  return item;
}

function open(button) {
  const pictures = data.cells[button.dataset.cell] ?? [];
  const count = Number(button.dataset.count);
  document.getElementById("cell-pictures-title").textContent = button.dataset.said;
  document.getElementById("cell-pictures-note").textContent =
    pictures.length < count ? `${pictures.length} of them are kept in this page.` : "";
  document.getElementById("cell-pictures-wall").replaceChildren(...pictures.map(framed));
  dialog.showModal();
}

document.querySelectorAll("button[data-cell]").forEach((button) => button.addEventListener("click", () => open(button)));
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close(); // beside it
});

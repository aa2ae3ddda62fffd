// What pages of the console share: parts that are loaded after the page, live sections, copying, exports.
"use strict";

const LIVE_SECONDS = 5;

function load(url, place) {
  return fetch(url, { headers: { accept: "text/html" } })
    .then((answer) => answer.text().then((text) => {
      if (answer.ok) place.innerHTML = text;
      else place.textContent = `This part could not be loaded (HTTP ${answer.status}).`;
    }))
    .catch(() => { place.textContent = "This part could not be loaded: the gateway does not answer."; });
}

function loadParts(root) {
  for (const place of root.querySelectorAll("[data-load]")) load(place.dataset.load, place);
  for (const details of root.querySelectorAll("[data-load-open]")) {
    details.addEventListener("toggle", () => load(details.dataset.loadOpen, details.querySelector("div")), { once: true });
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy],[data-whole],[data-load-into]");
  if (!button) return;
  if (button.dataset.copy) {
    navigator.clipboard?.writeText(button.dataset.copy).then(() => {
      button.textContent = "copied";
      setTimeout(() => { button.textContent = "copy"; }, 1500);
    });
  } else if (button.dataset.whole) {
    const text = button.closest(".text");
    fetch(button.dataset.whole).then((answer) => answer.text()).then((whole) => { text.textContent = whole; });
  } else {
    const place = document.createElement("div");
    const paragraph = button.parentElement;
    load(button.dataset.loadInto, place).then(() => paragraph.replaceWith(place));
  }
});

document.addEventListener("keydown", (event) => {
  const box = document.querySelector("#find input");
  if (event.key === "/" && box && !event.target.closest("input,textarea,select")) {
    event.preventDefault();
    box.focus();
    box.select();
  }
});

// -- live sections: the page is fetched again, and what changed in them is put in place ---------------------------

async function refresh() {
  if (document.hidden || document.querySelector("[data-live] :focus")) return;
  const note = document.querySelector("[data-live-note]");
  try {
    const answer = await fetch(location.href);
    if (!answer.ok || answer.redirected) throw new Error(answer.status);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const section of document.querySelectorAll("[data-live]")) {
      const newer = fresh.getElementById(section.id);
      if (newer && newer.innerHTML !== section.innerHTML) section.innerHTML = newer.innerHTML;
    }
    document.dispatchEvent(new CustomEvent("console:fresh", { detail: fresh }));
    if (note) note.textContent = "";
  } catch {
    if (note) note.textContent = "not up to date: the gateway does not answer";
  }
}

if (document.body.classList.contains("live")) setInterval(refresh, LIVE_SECONDS * 1000);

// -- exports: read as they come, to say how far they are ----------------------------------------------------------

async function exportRows(link) {
  const progress = document.getElementById("export-progress");
  const answer = await fetch(link.href);
  if (!answer.ok) {
    progress.textContent = await answer.text();
    return;
  }
  const parts = [];
  let lines = link.dataset.export.endsWith(".csv") ? -1 : 0;
  for (const reader = answer.body.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    for (const byte of value) if (byte === 10) lines += 1;
    progress.textContent = `${lines.toLocaleString("en")} rows…`;
  }
  progress.textContent = `${lines.toLocaleString("en")} rows`;
  const file = document.createElement("a");
  file.href = URL.createObjectURL(new Blob(parts));
  file.download = link.dataset.export;
  file.click();
  URL.revokeObjectURL(file.href);
}

for (const link of document.querySelectorAll("[data-export]")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    exportRows(link);
  });
}

loadParts(document);

// The live tail: asks every second for what has come since, until it is paused.
"use strict";

{
  const PERIOD_MS = 1000;
  const MAX_ROWS = 500;
  const list = document.getElementById("tail");
  const button = document.getElementById("pause");
  const state = document.getElementById("tail-state");
  let paused = false;
  let after = list.dataset.after;

  async function ask() {
    if (paused || document.hidden) return;
    try {
      const answer = await fetch(list.dataset.since.replace("AFTER", after));
      if (!answer.ok) throw new Error(answer.status);
      const found = await answer.json();
      after = found.after;
      if (found.count) list.insertAdjacentHTML("afterbegin", found.rows);
      while (list.rows.length > MAX_ROWS) list.deleteRow(-1);
      state.textContent = "watching";
    } catch {
      state.textContent = "the gateway does not answer; trying again";
    }
  }

  button.addEventListener("click", () => {
    paused = !paused;
    button.setAttribute("aria-pressed", paused);
    button.textContent = paused ? "Go on" : "Pause";
    state.textContent = paused ? "paused" : "watching";
  });

  async function forever() {
    await ask();
    setTimeout(forever, PERIOD_MS);
  }

  if (list.dataset.since) forever();
  else state.textContent = "There is no Redis, and so no tail.";
}

"use strict";
// Steps through a day: one slot of all sites at once. Without this script the first day is shown.
const readouts = JSON.parse(document.getElementById("readouts").textContent);
const slider = document.getElementById("slot");

if (slider) {
  const views = [...document.querySelectorAll(".day")];
  const chosen = (name) => document.getElementById(`choose-${name}`).value;

  const figure = (label, text) => {
    const span = document.createElement("span");
    span.textContent = `${label} `;
    const value = document.createElement("b");
    value.textContent = text;
    span.append(value);
    return span;
  };

  const show = () => {
    const view = views.find((it) => it.dataset.day === chosen("day") && it.dataset.policy === chosen("policy"));
    for (const one of views) one.hidden = one !== view;
    if (!view) return;
    const data = readouts[view.dataset.key];
    slider.max = data.times.length - 1;
    const slot = Number(slider.value);
    document.getElementById("time").textContent = data.times[slot];
    const jobs = data.jobs[slot];
    document.getElementById("jobs").textContent = jobs.length ? `Under way: ${jobs.join(", ")}` : "No job is under way.";
    for (const site of view.querySelectorAll("article.site")) {
      const row = data.sites[site.dataset.site][slot];
      site.querySelector(".readout").replaceChildren(...data.labels.map((label, n) => figure(label, row[n])));
      const plots = site.querySelector(".plots");
      const box = plots.querySelector(".area").getBoundingClientRect();
      const cursor = plots.querySelector(".cursor");
      const left = box.left - plots.getBoundingClientRect().left;
      cursor.style.left = `${left + (box.width * slot) / data.times.length}px`;
      cursor.style.width = `${box.width / data.times.length}px`;
    }
  };

  const step = (by) => {
    slider.value = Math.max(0, Math.min(Number(slider.max), Number(slider.value) + by));
    show();
  };
  document.getElementById("back").addEventListener("click", () => step(-1));
  document.getElementById("on").addEventListener("click", () => step(1));
  slider.addEventListener("input", show);
  for (const name of ["day", "policy"]) document.getElementById(`choose-${name}`).addEventListener("change", show);
  window.addEventListener("resize", show);
  show();
}

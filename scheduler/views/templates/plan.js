"use strict";
// The page is complete without this script: it adds the search and the figures of one slot.
const readouts = JSON.parse(document.getElementById("readouts").textContent);

document.getElementById("find").addEventListener("input", (event) => {
  const wanted = event.target.value.trim().toLowerCase();
  for (const job of document.querySelectorAll("details.job")) {
    job.hidden = !job.dataset.name.includes(wanted);
  }
});

for (const site of document.querySelectorAll("article.site")) {
  const data = readouts[site.dataset.site];
  const plots = site.querySelector(".plots");
  const area = plots.querySelector(".area");
  const cursor = plots.querySelector(".cursor");
  const readout = site.querySelector(".readout");
  const last = data.rows.length - 1;
  let slot = 0;

  const write = () => {
    const inUtc = document.getElementById("utc").checked;
    const time = document.createElement("b");
    time.textContent = (inUtc ? data.utc : data.local)[slot];
    const figures = data.labels.map((label, position) => {
      const figure = document.createElement("span");
      figure.textContent = `${label} `;
      const value = document.createElement("b");
      value.textContent = data.rows[slot][position];
      figure.append(value);
      return figure;
    });
    readout.replaceChildren(time, ...figures);
  };

  const show = (wanted) => {
    slot = Math.max(0, Math.min(last, wanted));
    write();
    const box = area.getBoundingClientRect();
    const left = box.left - plots.getBoundingClientRect().left;
    cursor.style.left = `${left + (box.width * slot) / (last + 1)}px`;
    cursor.style.width = `${box.width / (last + 1)}px`;
    cursor.hidden = false;
  };

  const follow = (event) => {
    const box = area.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    if (share >= 0 && share < 1) show(Math.floor(share * (last + 1)));
  };
  plots.addEventListener("pointermove", follow);
  plots.addEventListener("pointerdown", follow);
  plots.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) {
      event.preventDefault();
      show(slot + step);
    }
  });
  document.getElementById("utc").addEventListener("change", write);
  write();
}

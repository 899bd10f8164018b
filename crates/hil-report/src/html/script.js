// SPDX-License-Identifier: MIT OR Apache-2.0
"use strict";
// The page can be read without this. It filters, zooms, opens and folds.
(() => {
  const page = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const one = (selector) => document.querySelector(selector);
  const filter = one("#filter");
  const boxes = all(".verdicts input");

  // What belongs to each test, found once: with thousands of them, each search would be felt.
  const tests = new Map();
  for (const details of all("details.test")) {
    const name = details.dataset.name.toLowerCase();
    tests.set(details.dataset.test, { details, name, verdict: details.dataset.verdict, parts: [] });
  }
  const testOf = (link) => tests.get(link.getAttribute("href").slice(2));
  for (const item of all(".attention li")) tests.get(item.dataset.test).parts.push(item);
  for (const bar of all("a.bar")) testOf(bar).bar = [...(testOf(bar).bar || []), bar];
  const rows = all("tr.row").map((row) => ({ row, tests: all("a", row).map(testOf) }));
  const groups = all(".matrix tbody, div.suite").map((group) => ({
    group,
    members: all("tr.row, details.test", group),
  }));

  function apply() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const verdicts = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    let shown = 0;
    for (const test of tests.values()) {
      test.shown = verdicts.has(test.verdict) && words.every((word) => test.name.includes(word));
      shown += test.shown;
      test.details.hidden = !test.shown;
      for (const part of test.parts) part.hidden = !test.shown;
      for (const bar of test.bar || []) bar.classList.toggle("dim", !test.shown);
    }
    for (const { row, tests } of rows) row.hidden = !tests.some((test) => test.shown);
    for (const { group, members } of groups) group.hidden = members.every((member) => member.hidden);
    const attention = one("#attention");
    if (attention) attention.hidden = !all("li", attention).some((item) => !item.hidden);
    one("#shown").textContent =
      shown === tests.size ? "" : `${shown} of ${tests.size} tests shown`;
    page.dataset.shown = shown;
  }

  // An anchor may point to a test that the filter hides: whoever asks for it wants to see it.
  function goTo(hash) {
    const body = hash.startsWith("#t") && document.getElementById(hash.slice(1));
    const details = body && body.closest("details.test");
    if (!details) return;
    details.hidden = false;
    details.closest("div.suite").hidden = false;
    details.open = true;
    details.scrollIntoView({ block: "start" });
  }

  const seconds = (value, step) => {
    if (step < 1) return `${value.toFixed(step < 0.1 ? 2 : 1)} s`;
    if (step < 60) return `${Math.round(value)} s`;
    if (step < 3600) return `${Math.round(value / 60)} min`;
    return `${Math.round(value / 360) / 10} h`;
  };
  let zoom = 1;
  function setZoom(to) {
    const scroll = one(".scroll");
    const canvas = one(".canvas");
    const middle = (scroll.scrollLeft + scroll.clientWidth / 2) / (scroll.clientWidth * zoom);
    zoom = Math.min(256, Math.max(1, to));
    canvas.style.setProperty("--zoom", zoom);
    scroll.scrollLeft = middle * scroll.clientWidth * zoom - scroll.clientWidth / 2;
    const whole = Number(canvas.dataset.seconds);
    const steps = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 14400];
    const room = scroll.clientWidth * zoom / 80;
    const step = steps.find((step) => whole / step <= room) || whole / 10;
    const marks = [];
    for (let at = 0; at * step < whole; at += 1) {
      const mark = document.createElement("span");
      mark.style.left = `${(at * step / whole) * 100}%`;
      mark.textContent = seconds(at * step, step);
      marks.push(mark);
    }
    one(".canvas .scale").replaceChildren(...marks);
  }

  // What was asked for in the address.
  const asked = new URLSearchParams(location.search);
  filter.value = asked.get("filter") || "";
  const show = asked.get("show");
  for (const box of boxes) {
    box.disabled = false;
    box.checked = show === null || show.split(",").includes(box.value);
    box.addEventListener("change", apply);
  }
  filter.addEventListener("input", apply);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.target.closest("input")) {
      event.preventDefault();
      filter.focus();
      filter.select();
    } else if (event.key === "Escape" && event.target === filter) {
      filter.value = "";
      apply();
    }
  });
  document.addEventListener("click", (event) => {
    const { target } = event;
    const link = target.closest("a[href^='#t']");
    // The address does not change if the same test is asked for again.
    if (link && link.getAttribute("href") === location.hash) goTo(location.hash);
    const fold = target.closest("tr.suite th");
    if (fold) fold.closest("tbody").classList.toggle("folded");
    if (target.dataset.zoom) setZoom(Number(target.dataset.zoom) * zoom);
    if (target.dataset.open) {
      for (const test of tests.values()) {
        if (test.shown) test.details.open = target.dataset.open === "yes";
      }
    }
  });
  addEventListener("hashchange", () => goTo(location.hash));

  // On paper, what did not pass is open.
  let opened = [];
  addEventListener("beforeprint", () => {
    const quiet = ["passed", "ignored"];
    opened = [...tests.values()].filter((test) => !quiet.includes(test.verdict) && !test.details.open);
    for (const { details } of opened) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const { details } of opened) details.open = false;
  });

  const tools = one(".tools");
  new ResizeObserver(() => {
    const sticks = getComputedStyle(tools).position === "sticky";
    page.style.setProperty("--tools", `${sticks ? tools.offsetHeight : 0}px`);
  }).observe(tools);
  page.dataset.script = "ready";
  if (one(".canvas")) setZoom(1);
  apply();
  goTo(location.hash);
})();

"use strict";
// The page asks for what it shows every two seconds. Texts of calls are never read as HTML.

const interval = 2000;
const shown = 200; // calls at most
const kept = 60; // points of a curve
const curves = { share: [], loss: [] };
let chosen = "";
let before = null;

const byID = (id) => document.getElementById(id);

function make(name, text, ...children) {
  const e = document.createElement(name);
  if (text !== undefined) e.textContent = text;
  e.append(...children);
  return e;
}

async function get(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error((await response.text()).trim() || response.statusText);
  return response.json();
}

function curve(points) {
  const ns = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(ns, "svg");
  svg.setAttribute("viewBox", `0 0 ${kept} 100`);
  svg.setAttribute("preserveAspectRatio", "none");
  const line = document.createElementNS(ns, "polyline");
  const top = Math.max(1, ...points);
  line.setAttribute("points", points.map((p, i) => `${i},${98 - (96 * p) / top}`).join(" "));
  svg.append(line);
  return svg;
}

function remember(list, value) {
  list.push(value);
  if (list.length > kept) list.shift();
}

function tile(name, value, points) {
  const t = make("div", undefined, make("b", value), make("span", name));
  t.className = "tile";
  if (points) t.append(curve(points));
  return t;
}

function percent(part, rest) {
  return part + rest === 0 ? 0 : (100 * part) / (part + rest);
}

function summary(call) {
  const rtp = call.legs.filter((l) => l.component === "RTP");
  const sum = (key) => rtp.reduce((n, l) => n + l[key], 0);
  return {
    planes: [...new Set(rtp.map((l) => l.plane))].join(", "),
    packets: sum("packets"),
    lost: sum("lost"),
  };
}

function rows(id, reasons) {
  byID(id).replaceChildren(
    ...reasons.map((r) => make("tr", undefined, make("td", r.count), make("td", r.reason))),
  );
}

function showStatus(status, calls) {
  const draining = status.drain.draining ? `, draining: ${status.drain.remaining_calls} calls left` : "";
  byID("state").textContent = `${status.version}, up ${age(status.uptime_seconds)}${draining}`;
  byID("state").className = "";
  const totals = calls.calls.map(summary);
  const now = {
    kernel: status.packets.kernel,
    user: status.packets.userspace,
    lost: totals.reduce((n, t) => n + t.lost, 0),
    packets: totals.reduce((n, t) => n + t.packets, 0),
  };
  if (before) {
    const kernel = Math.max(0, now.kernel - before.kernel);
    const user = Math.max(0, now.user - before.user);
    remember(curves.share, percent(kernel, user));
    remember(curves.loss, percent(Math.max(0, now.lost - before.lost), Math.max(0, now.packets - before.packets)));
  }
  before = now;
  const last = (list) => (list.length ? list[list.length - 1].toFixed(1) + " %" : "–");
  byID("tiles").replaceChildren(
    tile("calls", status.calls.live),
    tile("packets in the kernel", last(curves.share), curves.share),
    tile("loss", last(curves.loss), curves.loss),
    tile("legs in the kernel", status.flows.kernel),
    tile("legs in userspace", status.flows.userspace),
  );
  rows("reasons", status.not_in_kernel);
  rows("drops", status.drops);
}

function age(seconds) {
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return parts.map((n) => String(n).padStart(2, "0")).join(":");
}

function showCalls(calls) {
  byID("calls").replaceChildren(
    ...calls.calls.map((call) => {
      const s = summary(call);
      const cells = [call.call_id, call.state, age(call.age_seconds), s.planes, s.packets, s.lost];
      const row = make("tr", undefined, ...cells.map((c) => make("td", c)));
      row.classList.toggle("chosen", call.call_id === chosen);
      row.addEventListener("click", () => choose(call.call_id));
      return row;
    }),
  );
  const left = calls.total - calls.calls.length;
  byID("more").textContent = left > 0 ? `and ${left} more` : calls.total ? "" : "none";
}

function choose(id) {
  chosen = id === chosen ? "" : id;
  byID("call").hidden = !chosen;
  if (chosen) explain().catch(trouble);
}

async function explain() {
  const id = chosen;
  let e;
  try {
    e = await get("v1/explain/" + encodeURIComponent(id));
  } catch (error) {
    if (id !== chosen) return;
    byID("verdict").textContent = "the call has ended";
    byID("advice").textContent = "";
    byID("flows").replaceChildren();
    return;
  }
  if (id !== chosen) return;
  byID("name").textContent = id;
  byID("verdict").textContent = `${e.verdict.code}: ${e.verdict.text}`;
  byID("advice").textContent = e.verdict.advice || "";
  byID("flows").replaceChildren(...e.flows.flatMap(flow));
}

function flow(f) {
  const list = make("dl");
  const add = (name, value) => value !== "" && list.append(make("dt", name), make("dd", value));
  const leg = f.leg;
  add("local", leg.local);
  add("signalled", leg.signalled || "nothing");
  add("learnt", leg.source || "nothing yet");
  add("last packet", leg.last_packet_ms < 0 ? "none" : `${(leg.last_packet_ms / 1000).toFixed(1)} s ago`);
  add("packets", `${leg.packets} received, ${leg.kernel_packets} of them in the kernel; ${leg.lost} lost`);
  add("plane", leg.plane + (leg.why ? ": " + leg.why : ""));
  add("keys", f.keying);
  add("ICE", f.ice || "");
  add("DTLS", [f.dtls, f.dtls_error].filter(Boolean).join(" "));
  for (const d of f.drops) add("dropped", `${d.count} ${d.reason}`);
  for (const n of f.findings) add(n.code, [n.text, n.advice].filter(Boolean).join(". "));
  return [make("h2", `${f.from} to ${f.to.join(", ") || "nobody"}: ${leg.media} ${leg.index}, ${f.direction}`), list];
}

function trouble(error) {
  byID("state").textContent = "no answer from the daemon: " + error.message;
  byID("state").className = "bad";
}

async function refresh() {
  try {
    const [status, calls] = await Promise.all([get("v1/status"), get("v1/calls?limit=" + shown)]);
    showStatus(status, calls);
    showCalls(calls);
    if (chosen) await explain();
  } catch (error) {
    trouble(error);
  }
  setTimeout(refresh, interval);
}

refresh();

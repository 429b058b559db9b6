"""The page of the demonstration: one document, no files beside it, nothing fetched from elsewhere."""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>qhttpserver_py</title>
<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E
%3Crect width='16' height='16' rx='4' fill='%2317a05d'/%3E
%3Cpath d='M4 8h8M9 5l3 3-3 3' stroke='white' stroke-width='1.6' fill='none'/%3E%3C/svg%3E">
<style>
:root {
  color-scheme: light dark;
  --paper: light-dark(#f6f7f8, #14171a); --card: light-dark(#fff, #1d2125);
  --ink: light-dark(#1c2126, #e6e9ec); --soft: light-dark(#5d6872, #97a3ae);
  --line: light-dark(#e1e5e9, #30363c); --leaf: light-dark(#12814a, #3cc482);
  --wash: light-dark(#f0f3f5, #15181b); --bad: light-dark(#b3261e, #ff8a80);
}
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
main { max-width: 66rem; margin: 0 auto; padding: 1.5rem 1.25rem 3rem }
header { margin-bottom: 1.5rem }
h1 { font-size: 1.6rem; margin: 0; letter-spacing: -.01em }
header p { margin: .3rem 0 0; color: var(--soft); max-width: 46rem }
h2 { font-size: 1rem; margin: 0 0 .15rem }
.cards { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)) }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1rem 1.1rem }
.card > p { margin: 0 0 .75rem; color: var(--soft); font-size: .9rem }
.row { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; margin: .5rem 0 }
.row label { flex: 0 0 3.2rem; color: var(--soft); font-size: .85rem }
input, textarea, button { font: inherit; color: inherit; border-radius: 8px; border: 1px solid var(--line) }
input, textarea { flex: 1; min-width: 6rem; width: 100%; padding: .4rem .6rem; background: var(--wash) }
textarea, output, code, td { font-family: ui-monospace, "Cascadia Mono", Menlo, monospace; font-size: .85rem }
textarea { display: block; resize: vertical; height: 4.4rem }
button { padding: .4rem .9rem; background: var(--leaf); border-color: transparent; cursor: pointer;
  color: light-dark(#fff, #0d1512); font-weight: 500; white-space: nowrap }
.row label ~ button { flex: 0 0 9.5rem }
button.plain { background: none; border-color: var(--line); color: inherit }
button:hover { filter: brightness(1.08) }
:focus-visible { outline: 2px solid var(--leaf); outline-offset: 2px }
output { display: block; margin-top: .6rem; padding: .5rem .65rem; min-height: 2.3rem;
  background: var(--wash); border-radius: 8px; white-space: pre-wrap; overflow-wrap: anywhere }
output:empty::before { content: "the answer appears here"; color: var(--soft) }
output.bad { color: var(--bad) }
svg { display: block; width: 100%; height: 3.2rem; background: var(--wash); border-radius: 8px }
polyline { fill: none; stroke: var(--leaf); stroke-width: 1.5; vector-effect: non-scaling-stroke }
#rate-now { color: var(--soft); font-variant-numeric: tabular-nums }
.log { margin-top: 1rem; padding-bottom: .4rem }
.log > div { overflow: auto; height: 17rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .28rem .8rem .28rem 0; border-bottom: 1px solid var(--line) }
td { white-space: nowrap }
th { position: sticky; top: 0; background: var(--card); font-size: .8rem; font-weight: 500;
  color: var(--soft) }
td:nth-child(3) { width: 99%; max-width: 1px; overflow: hidden; text-overflow: ellipsis }
th:nth-child(n+4), td:nth-child(n+4) { text-align: right; font-variant-numeric: tabular-nums }
tr.bad td:nth-child(4) { color: var(--bad) }
footer { margin-top: 1rem; color: var(--soft); font-size: .85rem }
</style>
</head>
<body>
<main>
<header>
<h1>qhttpserver_py is running</h1>
<p>Every answer on this page comes from a few lines of Python in a Qt event loop. Press the buttons, then read
<code>_demo.py</code> and <code>_demo_live.py</code> in the package: they are the whole program.</p>
</header>

<div class="cards">
<section class="card" id="typed">
<h2>Typed path arguments</h2>
<p>The annotation of the handler decides what a path may hold; anything else is a 404.</p>
<div class="row"><label for="square-in">int</label><input id="square-in" value="12">
<button id="square-go">/square/&lt;arg&gt;</button></div>
<div class="row"><label for="half-in">float</label><input id="half-in" value="2.5">
<button id="half-go">/half/&lt;arg&gt;</button></div>
<div class="row"><label for="hello-in">str</label><input id="hello-in" value="World">
<button id="hello-go">/hello/&lt;arg&gt;</button></div>
<output id="typed-out"></output>
</section>

<section class="card" id="json">
<h2>JSON in, JSON out</h2>
<p><code>POST /statistics</code> takes a list of numbers and returns a dictionary.</p>
<textarea id="json-in" aria-label="JSON to send" spellcheck="false">
{"numbers": [3, 1, 4, 1, 5, 9, 2, 6]}</textarea>
<div class="row"><button id="json-go">Send</button></div>
<output id="json-out"></output>
</section>

<section class="card" id="upload">
<h2>Upload</h2>
<p><code>POST /upload</code> answers with size and checksum of what arrived.</p>
<div class="row"><input id="upload-in" type="file" aria-label="File to send"></div>
<div class="row"><button id="upload-go">Send the file</button>
<button id="sample-go" class="plain">Send 1 MiB of zeros</button></div>
<output id="upload-out"></output>
</section>

<section class="card" id="after">
<h2>After-request handler</h2>
<p>It sees each response before it leaves and adds a field to it.</p>
<div class="row"><button id="after-go">Ask, and show the fields</button></div>
<output id="after-out"></output>
</section>

<section class="card" id="echo">
<h2>WebSocket echo</h2>
<p>A WebSocket sends back what it gets; other sites' pages are refused.</p>
<div class="row"><input id="echo-in" value="Hello, socket" aria-label="Text to send">
<button id="echo-go">Send</button></div>
<output id="echo-out"></output>
</section>

<section class="card" id="rate">
<h2>Requests per second</h2>
<p>Pushed over a WebSocket once a second, for the last minute.</p>
<svg id="rate-plot" viewBox="0 0 59 20" preserveAspectRatio="none" role="img" aria-label="Requests per second">
<polyline id="rate-line"/></svg>
<div class="row"><button id="rate-go">Send 200 requests</button> <span id="rate-now"></span></div>
</section>
</div>

<section class="card log">
<h2>Requests</h2>
<p>What the server has answered, newest first.</p>
<div><table>
<thead><tr><th>Time</th><th>Method</th><th>Target</th><th>Status</th><th>Bytes</th><th>ms</th></tr></thead>
<tbody id="log-rows"></tbody>
</table></div>
</section>
<footer>Stop it with Ctrl-C. Serve a directory: <code>qhttpserver DIR</code>. Serve your own:
<code>qhttpserver app.py:server</code>.</footer>
</main>
<script>
"use strict";
const at = id => document.getElementById(id);

function show(id, ok, text) {
  at(id).classList.toggle("bad", !ok);
  at(id).textContent = text;
}

async function call(out, path, options) {
  try {
    const reply = await fetch(path, options);
    const text = await reply.text();
    show(out, reply.ok, reply.status + " " + (text || "(no body)"));
    return reply;
  } catch (error) {
    show(out, false, "The server did not answer.");
  } finally {
    refresh();
  }
}

for (const name of ["square", "half", "hello"])
  at(name + "-go").onclick = () =>
    call("typed-out", "/" + name + "/" + encodeURIComponent(at(name + "-in").value));

at("json-go").onclick = () => call("json-out", "/statistics",
  {method: "POST", headers: {"content-type": "application/json"}, body: at("json-in").value});

const send = body => call("upload-out", "/upload", {method: "POST", body});
at("upload-go").onclick = () => at("upload-in").files.length
  ? send(at("upload-in").files[0]) : show("upload-out", false, "Choose a file first.");
at("sample-go").onclick = () => send(new Blob([new Uint8Array(1 << 20)]));

at("after-go").onclick = async () => {
  const reply = await call("after-out", "/hello/again");
  if (reply) show("after-out", true, [...reply.headers].map(pair => pair.join(": ")).join("\\n"));
};

function connect(path, out, heard, ended) {
  const socket = new WebSocket((location.protocol === "https:" ? "wss://" : "ws://") + location.host + path);
  let opened = false;
  socket.onopen = () => { opened = true; };
  socket.onmessage = event => heard(event.data);
  socket.onclose = async () => {
    try {
      show(out, false, opened ? "The connection was closed." : await (await fetch(path)).text());
    } catch (error) {
      show(out, false, "The server did not answer.");
    }
    ended();
  };
  return socket;
}

let echo = null;
at("echo-go").onclick = () => {
  const text = at("echo-in").value;
  if (echo) return echo.readyState === 1 && echo.send(text);
  echo = connect("/echo", "echo-out", data => show("echo-out", true, data), () => { echo = null; });
  echo.addEventListener("open", () => echo.send(text));
};

const rates = [];
function plot(data) {
  const now = JSON.parse(data);
  rates.push(now.answered);
  if (rates.length > 60) rates.shift();
  const top = Math.max(10, ...rates);
  const point = (rate, x) => (x + 60 - rates.length) + "," + (19 - 18 * rate / top).toFixed(1);
  at("rate-line").setAttribute("points", rates.map(point).join(" "));
  show("rate-now", true, now.answered + " in the last second, " + now.sockets + " open WebSockets");
}
function watch() {
  connect("/rate", "rate-now", plot, () => setTimeout(watch, 10000));
}
watch();
at("rate-go").onclick = async () => {
  for (let sent = 0; sent < 200; sent += 10)
    await Promise.allSettled(Array.from({length: 10}, () => fetch("/hello/again")));
  refresh();
};

let next = 0;
let asking = false;
function addRow(entry) {
  const row = at("log-rows").insertRow(0);
  if (entry.status >= 400) row.className = "bad";
  for (const text of [entry.time, entry.method, entry.target, entry.status, entry.size, entry.ms])
    row.insertCell().textContent = text;
  if (at("log-rows").rows.length > 200) at("log-rows").deleteRow(-1);
}
async function refresh() {
  if (asking || document.hidden) return;
  asking = true;
  try {
    const log = await (await fetch("/log?since=" + next)).json();
    log.entries.forEach(addRow);
    next = log.next;
  } catch (error) {
    // The server is gone for the moment; the next round asks again.
  } finally {
    asking = false;
  }
}
refresh();
setInterval(refresh, 2000);
</script>
</body>
</html>
"""

'use strict';
const of = (id) => document.getElementById(id);

// What has changed of a part is brought over; what has not keeps its focus, its place and whether it is open.
function bring(old, fresh) {
  if (old.nodeName !== fresh.nodeName) return old.replaceWith(fresh);
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) if (name !== 'open' && !fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) {
    if (name !== 'open' && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const [kept, made] = [[...old.childNodes], [...fresh.childNodes]];
  made.forEach((node, at) => (at < kept.length ? bring(kept[at], node) : old.append(node)));
  for (const node of kept.slice(made.length)) node.remove();
}

// The page asks for its parts every second, as long as somebody sees it and wants it.
let timer = 0;
let isPaused = false;
let isAsking = false;
async function refresh(isWanted) {
  clearTimeout(timer);
  if (isAsking || ((isPaused || document.hidden) && !isWanted)) return;
  isAsking = true;
  const address = location.search;
  try {
    const asked = new URLSearchParams(address);
    asked.set('live', '1');
    const answer = await fetch('/mesh/?' + asked, { headers: { accept: 'text/html' }, signal: AbortSignal.timeout(3000) });
    if (!answer.ok) throw new Error(String(answer.status));
    const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
    if (!isPaused || isWanted) for (const part of fresh.querySelectorAll('[data-live]')) if (of(part.id)) bring(of(part.id), part);
    of('gone').hidden = true;
  } catch {
    if (of('gone').hidden) {
      of('gone').textContent = 'This process has not answered since ' + new Date().toLocaleTimeString() + '. What is shown is older.';
      of('gone').hidden = false;
    }
  }
  isAsking = false;
  if (address !== location.search) refresh(true);
  else if (!isPaused) timer = setTimeout(refresh, 1000, false);
}
document.addEventListener('visibilitychange', () => refresh(false));
of('pause').addEventListener('click', () => {
  isPaused = !isPaused;
  of('pause').textContent = isPaused ? 'Resume' : 'Pause';
  refresh(false);
});
// What else there is to see of the figures.
document.addEventListener('click', (event) => {
  const link = event.target.closest('[data-switch]');
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  history.replaceState(null, '', link.href);
  refresh(true);
});
for (const element of document.querySelectorAll('[data-script]')) element.hidden = false;
timer = setTimeout(refresh, 1000, false);

// What if: the answer stays on the page.
const form = of('what-if');
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  try {
    const asked = new URLSearchParams(new FormData(form));
    const answer = await fetch('/mesh/explain?' + asked, { headers: { accept: 'text/plain' } });
    of('answer').textContent = await answer.text();
  } catch {
    of('answer').textContent = 'The process does not answer.';
  }
});

// The tap, as soon as somebody wants it.
let events = null;
function stop(why) {
  if (events) events.close();
  events = null;
  of('listen').textContent = 'Listen';
  of('heard').textContent = why;
}
of('listen').addEventListener('click', () => {
  if (events) return stop('stopped');
  of('listen').textContent = 'Stop';
  const only = of('only').value;
  events = new EventSource('/mesh/tap' + (only ? '?status=' + only : ''));
  events.onopen = () => (of('heard').textContent = 'listening: requests appear as they end');
  events.onmessage = (message) => row(JSON.parse(message.data));
  events.onerror = () => {
    if (events && events.readyState === EventSource.CLOSED) stop('nothing is told: too many listen already');
  };
});
of('only').addEventListener('change', () => {
  if (!events) return;
  stop('');
  of('listen').click();
});
function row(told) {
  const rows = of('requests');
  const line = rows.insertRow(0);
  const cell = (label, text, kind) => {
    const made = line.insertCell();
    made.dataset.label = label;
    if (text === '' || text === '-') made.className = 'nothing';
    const inner = made.appendChild(document.createElement('span'));
    inner.textContent = String(text);
    if (kind) inner.className = kind;
  };
  cell('url', told.method + ' ' + told.host + told.path, '');
  cell('status', told.status, told.status > 499 ? 'bad' : 'good');
  cell('flags', told.flags, told.flags === '-' ? 'faint' : 'bad');
  cell('endpoint', told.endpoint || '', 'number');
  cell('tries', told.tries, 'number');
  cell('took', told.duration_ms.toFixed(1) + ' ms', 'number');
  cell('side', told.side, 'faint');
  cell('time', new Date(told.time * 1000).toLocaleTimeString(), 'faint');
  if (told.side === 'client') why(line.insertCell(), told);
  else line.insertCell().className = 'nothing';
  while (rows.rows.length > 100) rows.deleteRow(100);
}

// A request of the tap, asked about again; of its headers only those are known that may be shown.
function why(cell, told) {
  const asked = new URLSearchParams({ method: told.method, url: 'http://' + told.host + told.path });
  const [header] = Object.entries(told.headers);
  if (header) asked.set('h', header.join(': '));
  const link = cell.appendChild(document.createElement('a'));
  link.href = '/mesh/explain?' + asked;
  link.textContent = 'why';
  link.addEventListener('click', (event) => {
    event.preventDefault();
    for (const field of form.elements) if (field.name) field.value = asked.get(field.name) || '';
    form.requestSubmit();
    of('try').scrollIntoView({ block: 'nearest' });
  });
}

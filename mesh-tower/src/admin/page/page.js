'use strict';
const of = (id) => document.getElementById(id);

// Seconds that are left of ejections.
setInterval(() => {
  for (const left of document.querySelectorAll('[data-left]')) {
    const seconds = Math.max(0, Number(left.dataset.left) - 1);
    left.dataset.left = String(seconds);
    left.textContent = seconds > 0 ? seconds + ' s more' : 'due back';
  }
}, 1000);

// What if: the answer stays on the page.
of('what-if').addEventListener('submit', async (event) => {
  event.preventDefault();
  const asked = new URLSearchParams(new FormData(event.target));
  const answer = await fetch('/mesh/explain?' + asked);
  of('answer').textContent = await answer.text();
});

// The tap, as soon as somebody wants it.
let events = null;
of('listen').addEventListener('click', () => {
  const button = of('listen');
  if (events) {
    events.close();
    events = null;
    button.textContent = 'Listen';
    return;
  }
  button.textContent = 'Stop';
  events = new EventSource('/mesh/tap');
  events.onmessage = (message) => {
    const told = JSON.parse(message.data);
    const row = of('requests').insertRow(0);
    const time = new Date(told.time * 1000).toLocaleTimeString();
    const cells = [time, told.method, told.host + told.path, told.status, told.flags, told.endpoint || '', told.tries, told.duration_ms + ' ms'];
    for (const cell of cells) row.insertCell().textContent = String(cell);
    while (of('requests').rows.length > 100) of('requests').deleteRow(100);
  };
});

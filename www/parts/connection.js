// How the connection is, shown only when there is something to say: offline, catching up, the first sync.
import { h, speak } from './dom.js';

/** A strip above everything else that comes and goes with the state of the session. */
export function connectionBanner(session) {
  const text = h('p', {});
  const bar = h('progress', { class: 'bar', 'aria-label': 'Catching up' });
  const element = h('div', { class: 'connection', hidden: true }, text, bar);
  let said = '';

  const update = () => {
    const { words, progress } = describe(session);
    element.hidden = words === '';
    element.dataset.state = session.state;
    text.textContent = words;
    bar.hidden = !progress;
    if (progress && progress.total > 0) {
      bar.max = progress.total;
      bar.value = progress.done;
    } else {
      bar.removeAttribute('value');
    }
    // Only what matters is spoken: that the connection is lost, and that it is back.
    if (session.state === 'offline' && said !== words) speak((said = words));
    if (session.state === 'live' && said !== '') {
      speak('Connected');
      said = '';
    }
  };
  session.addEventListener('state', update);
  update();
  return element;
}

function describe({ state, progress }) {
  if (state === 'offline') {
    return { words: 'Offline. What you write is kept and sent as soon as the node can be reached.', progress: null };
  }
  if (progress) {
    const { done, total } = progress;
    return { words: total > 0 ? `Catching up: ${done} of ${total} conversations` : 'Catching up…', progress };
  }
  return { words: '', progress: null };
}

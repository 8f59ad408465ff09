// A form that works: its button is busy meanwhile, and what went wrong stands below it as a sentence.
import { h } from './dom.js';
import { sentence } from './words.js';

/**
 * @param {{ class?: string, button: string, busy: string, primary?: boolean, submit: () => Promise<void> }} settings
 * @param {...any} children
 */
export function workingForm({ class: kind = '', button, busy, primary = true, submit }, ...children) {
  const problem = h('p', { class: 'problem', role: 'alert' });
  const action = h('button', { class: `button${primary ? ' primary' : ''}` }, button);
  return h(
    'form',
    {
      class: kind,
      novalidate: true,
      onsubmit: async (event) => {
        event.preventDefault();
        problem.textContent = '';
        action.disabled = true;
        action.textContent = busy;
        try {
          await submit();
        } catch (error) {
          problem.textContent = sentence(error);
        } finally {
          action.disabled = false;
          action.textContent = button;
        }
      },
    },
    ...children,
    h('div', { class: 'actions' }, action),
    problem,
  );
}

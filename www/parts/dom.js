// Making elements. Text always goes in as text: nothing a peer sends is ever read as markup.

const svgNamespace = 'http://www.w3.org/2000/svg';

/**
 * An element with properties and children. `onclick` and the like are listeners, `class` and `aria-…` are
 * attributes, `true` sets an empty attribute, `false` and nullish leave it out. Nullish and false children too.
 * @param {string} tag
 * @param {Record<string, any>} [properties]
 * @param {...any} children
 * @returns {any}
 */
export function h(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** An SVG element, made like {@link h}. */
export function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS(svgNamespace, tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== false));
  return element;
}

const icons = {
  back: 'M15 5l-7 7 7 7',
  plus: 'M12 5v14M5 12h14',
  send: 'M12 19V5M5.5 11.5L12 5l6.5 6.5',
  people: 'M9 11a3.2 3.2 0 1 0 0-6.4A3.2 3.2 0 0 0 9 11zM2.8 19.4c.4-3.2 3-5.2 6.2-5.2s5.8 2 6.2 5.2M15.6 5a3 3 0 0 1 0 5.8M17.4 14.5c2.2.6 3.6 2.3 3.9 4.9',
  settings: 'M4 8h8.4M17.6 8H20M4 16h2.4M11.6 16H20M17.6 8a2.6 2.6 0 1 1-5.2 0 2.6 2.6 0 0 1 5.2 0zM11.6 16a2.6 2.6 0 1 1-5.2 0 2.6 2.6 0 0 1 5.2 0z',
  close: 'M6 6l12 12M18 6L6 18',
  lock: 'M6.5 11h11v8.5h-11zM8.5 11V8a3.5 3.5 0 0 1 7 0v3',
  down: 'M12 5v14M5.5 12.5L12 19l6.5-6.5',
  copy: 'M9 9h10.5v10.5H9zM15 9V4.5H4.5V15H9',
};

/** A small line drawing that says nothing to screen readers; the button around it has the name. */
export function icon(name) {
  return svg('svg', { class: 'icon', viewBox: '0 0 24 24', 'aria-hidden': 'true' }, svg('path', { d: icons[name] }));
}

/** A button that shows an icon and is named by `label`. */
export function iconButton(name, label, onclick, properties = {}) {
  return h('button', { type: 'button', class: 'icon-button', 'aria-label': label, title: label, onclick, ...properties }, icon(name));
}

/** Says something to screen readers without showing it. */
export function speak(text) {
  const place = document.getElementById('spoken');
  if (place) place.textContent = text;
}

/** Shows a sentence for some seconds, for what went wrong outside of any form. */
export function notice(text) {
  const place = document.getElementById('notices');
  const item = h('p', { class: 'notice' }, text);
  place?.append(item);
  setTimeout(() => item.remove(), 8000);
}

/**
 * Asks for a line of text. Resolves to null when the person thinks better of it.
 * @param {string} question @param {string} explanation @param {string} value
 * @returns {Promise<string | null>}
 */
export function asked(question, explanation, value) {
  return new Promise((resolve) => {
    const input = h('input', { id: 'answer', type: 'text', maxlength: 60, autocomplete: 'off', value });
    const dialog = h(
      'dialog',
      { class: 'dialog', onclose: () => (dialog.remove(), resolve(dialog.returnValue === 'yes' ? input.value.trim() : null)) },
      h(
        'form',
        { onsubmit: (event) => (event.preventDefault(), dialog.close('yes')) },
        h('label', { for: 'answer' }, h('h2', {}, question)),
        h('p', { class: 'help' }, explanation),
        input,
        h(
          'div',
          { class: 'actions' },
          h('button', { type: 'button', class: 'button', onclick: () => dialog.close('no') }, 'Cancel'),
          h('button', { class: 'button primary' }, 'Save'),
        ),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
    input.select();
  });
}

/**
 * Asks before doing something that cannot be taken back.
 * @param {string} question @param {string} explanation @param {string} action
 * @returns {Promise<boolean>}
 */
export function confirmed(question, explanation, action) {
  return new Promise((resolve) => {
    const dialog = h(
      'dialog',
      { class: 'dialog', 'aria-labelledby': 'question', onclose: () => (dialog.remove(), resolve(dialog.returnValue === 'yes')) },
      h('h2', { id: 'question' }, question),
      h('p', {}, explanation),
      h(
        'div',
        { class: 'actions' },
        h('button', { type: 'button', class: 'button', onclick: () => dialog.close('no') }, 'Cancel'),
        h('button', { type: 'button', class: 'button danger', onclick: () => dialog.close('yes') }, action),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}

// A voiceprint: the picture of an inbox or a group, drawn from its id. The same id gives the same picture in
// every browser, so people recognise each other by it. It is a reminder, not a proof: the address is the proof.
import { svg } from './dom.js';

const bars = 7;

/**
 * The picture of an id.
 * @param {string} id hex
 */
export function voiceprint(id) {
  const bytes = toBytes(id);
  const picture = svg('svg', { class: 'voiceprint', viewBox: '0 0 40 40', 'aria-hidden': 'true' });
  picture.style.setProperty('--hue', String(hueOf(id)));
  picture.append(svg('rect', { width: 40, height: 40, rx: 13 }));
  for (let i = 0; i < bars; i++) {
    // Tall in the middle, as a spoken word is.
    const swell = 1 - Math.abs(i - (bars - 1) / 2) / (bars + 1);
    const half = 1.2 + (bytes[i + 1] / 255) * 11 * swell;
    const x = 8 + i * 4;
    picture.append(svg('path', { d: `M${x} ${20 - half}V${20 + half}` }));
  }
  return picture;
}

/**
 * The hue an id has wherever it appears, in degrees.
 * @param {string} id
 */
export function hueOf(id) {
  const [first] = toBytes(id);
  // Steps of a golden angle keep neighbours apart.
  return Math.round((first * 137.5) % 360);
}

function toBytes(id) {
  const hex = id.replace(/^0x/, '').padEnd(16, '0');
  return Array.from({ length: 8 }, (_, i) => parseInt(hex.slice(2 * i, 2 * i + 2), 16) || 0);
}

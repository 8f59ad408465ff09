// Light, dark, or as the system has it.

const place = 'sotto.theme';

/** The choice: "light", "dark" or "system". */
export function theme() {
  return localStorage.getItem(place) ?? 'system';
}

/** Chooses, and remembers. */
export function setTheme(choice) {
  if (choice === 'system') localStorage.removeItem(place);
  else localStorage.setItem(place, choice);
  applyTheme();
}

/** Puts the choice into effect. */
export function applyTheme() {
  const choice = theme();
  if (choice === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
}

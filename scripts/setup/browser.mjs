// The browser the tests run in, with the WebDriver that drives it. On Debian as root they are installed;
// elsewhere they are looked for, and what is missing is said.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { capture, cargoInstall, run, say, SetupError, which } from '../lib/shell.mjs';

const browsers = {
  chrome: {
    name: 'Chrome or Chromium',
    variable: 'CHROME_PATH',
    programs: ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome'],
    folders: [
      '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
      '/Applications/Chromium.app/Contents/MacOS/Chromium',
      join(process.env.PROGRAMFILES ?? 'C:\\Program Files', 'Google', 'Chrome', 'Application', 'chrome.exe'),
    ],
    driver: { name: 'chromedriver', variable: 'CHROMEDRIVER_PATH', programs: ['chromedriver', 'chromium.chromedriver'] },
    packages: ['chromium', 'chromium-driver'],
    get: 'https://googlechromelabs.github.io/chrome-for-testing/',
  },
  firefox: {
    name: 'Firefox',
    variable: 'FIREFOX_PATH',
    programs: ['firefox-esr', 'firefox'],
    folders: ['/Applications/Firefox.app/Contents/MacOS/firefox'],
    driver: { name: 'geckodriver', variable: 'GECKODRIVER_PATH', programs: ['geckodriver'], crate: ['geckodriver', '0.37.1'] },
    packages: ['firefox-esr'], // Debian has no geckodriver
    get: 'https://github.com/mozilla/geckodriver/releases',
  },
};

/** The paths of the browser and its driver, each null when it is not there. */
export function findBrowser(kind = 'chrome') {
  const { variable, programs, folders, driver } = browsers[kind];
  return {
    browser: fromVariable(variable) ?? firstOnPath(programs) ?? folders.find((path) => existsSync(path)) ?? null,
    driver: fromVariable(driver.variable) ?? firstOnPath(driver.programs),
  };
}

/** Makes sure a browser and its driver are there, and returns their paths. */
export async function setUpBrowser(kind = 'chrome') {
  let found = findBrowser(kind);
  const { packages, name, variable, driver, get } = browsers[kind];
  const lacksPackages = !found.browser || (!found.driver && !driver.crate);
  if (lacksPackages && canUseApt()) {
    say(`Installing ${packages.join(' and ')} (apt-get)`);
    const env = { DEBIAN_FRONTEND: 'noninteractive' };
    await run('apt-get', ['update', '-qq'], { env });
    await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], { env });
    found = findBrowser(kind);
  }
  if (!found.driver && driver.crate) {
    await cargoInstall(driver.crate[0], driver.crate[1]);
    found = findBrowser(kind);
  }
  const missing = [!found.browser && `${name} (or set ${variable})`, !found.driver && `${driver.name} (or set ${driver.variable})`];
  if (missing.some(Boolean)) {
    throw new SetupError(`The browser tests need ${missing.filter(Boolean).join(' and ')}. See ${get}.`);
  }
  if (kind === 'chrome') checkVersionsMatch(found);
  return found;
}

function checkVersionsMatch({ browser, driver }) {
  const [a, b] = [browser, driver].map((path) => capture(path, ['--version'])?.match(/(\d+)\.\d+/)?.[1]);
  if (a && b && a !== b) {
    throw new SetupError(`The browser is version ${a} and its driver is version ${b}; they must be the same.`);
  }
}

function fromVariable(name) {
  const path = process.env[name];
  if (!path) return null;
  if (!existsSync(path)) throw new SetupError(`${name} is ${path}, where there is no file.`);
  return path;
}

function firstOnPath(names) {
  for (const name of names) {
    const path = which(name);
    if (path) return path;
  }
  return null;
}

function canUseApt() {
  return process.getuid?.() === 0 && which('apt-get') !== null && existsSync('/etc/debian_version');
}

/*
 * draw.mjs CHROMIUM PROFILE NAME HTML HEIGHT PNG [NAME HTML HEIGHT PNG...]: pages as pictures
 * of 1600 by HEIGHT, by one browser, which is told by its own protocol over a pipe.
 *
 * Says what a page says of itself; fails where one says that something is wrong, or nothing.
 */

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const [chromium, profile, ...jobs] = process.argv.slice(2);
const patience = 120000;    /* milliseconds, for a page or the browser's start */
const browser = spawn(chromium, ['--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', '--no-first-run', '--disable-extensions',
  '--disable-background-networking', '--disable-component-update', '--disable-sync', `--user-data-dir=${profile}`, '--remote-debugging-pipe', 'about:blank'],
{ stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
const [, , , to, from] = browser.stdio;
const waiting = new Map();
let count = 0, rest = '', said = [], gone = null;

function fail(text) {
  console.error(`lastfluss: ${text}`);
  browser.kill();
  process.exit(1);
}

browser.on('error', e => fail(`${chromium}: ${e.message}`));
browser.on('exit', code => gone === null ? fail(`${chromium} ended with status ${code}`) : gone());
to.on('error', () => {});
from.setEncoding('utf8');
from.on('data', text => {
  const messages = (rest + text).split('\0');
  rest = messages.pop();
  for (const message of messages.map(m => JSON.parse(m))) {
    if (message.method === 'Runtime.consoleAPICalled') said.push(message.params.args.map(a => a.value).join(' '));
    if (message.method === 'Runtime.exceptionThrown') said.push('wrong: ' + (message.params.exceptionDetails.exception?.description ?? message.params.exceptionDetails.text));
    if (!message.id) continue;
    const { resolve, what } = waiting.get(message.id);
    if (message.error) fail(`${what}: ${message.error.message}`);
    resolve(message.result);
  }
});

function ask(method, params = {}, sessionId = undefined) {
  const id = ++count;
  return new Promise(resolve => {
    const timer = setTimeout(() => fail(`${method} takes longer than ${patience / 1000} s`), patience);
    waiting.set(id, { what: method, resolve: result => { clearTimeout(timer); resolve(result); } });
    to.write(JSON.stringify({ id, method, params, sessionId }) + '\0');
  });
}

const { targetId } = await ask('Target.createTarget', { url: 'about:blank' });
const { sessionId } = await ask('Target.attachToTarget', { targetId, flatten: true });
const page = (method, params) => ask(method, params, sessionId);
let bad = 0;

await page('Runtime.enable');
await page('Page.enable');
while (jobs.length > 0) {
  const [name, html, height, png] = jobs.splice(0, 4);
  const end = Date.now() + patience;

  said = [];
  await page('Emulation.setDeviceMetricsOverride', { width: 1600, height: Number(height), deviceScaleFactor: 1, mobile: false });
  await page('Page.navigate', { url: pathToFileURL(html).href });
  while (!said.some(s => s.startsWith('looked at '))) {
    if (Date.now() > end || said.some(s => s.startsWith('wrong: ') && !s.includes('"'))) break;
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  const wrong = [...new Set(said.filter(s => s.startsWith('wrong: ')))], looked = said.find(s => s.startsWith('looked at '));
  if (!looked) wrong.push('wrong: it was not drawn to the end');
  const { data } = await page('Page.captureScreenshot', { format: 'png' });
  writeFileSync(png, Buffer.from(data, 'base64'));
  console.log([`${name}.png: ${looked ? looked.slice('looked at '.length) : ''}`, ...wrong.map(w => '    ' + w)].join('\n'));
  if (wrong.length > 0) bad++;
}
await new Promise(resolve => { gone = resolve; ask('Browser.close'); });
if (bad > 0) fail(`something is wrong with ${bad} pictures; see above`);
process.exit(0);

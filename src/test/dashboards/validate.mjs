/*
 * validate.mjs FILE...: dashboards against Grafana's published types (schema.ts).
 */

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRequire } from 'node:module';

const require = createRequire(join(process.cwd(), 'package.json'));
const { createGenerator } = require('ts-json-schema-generator');
const Ajv = require('ajv').default;

const here = process.cwd();
const generator = createGenerator({
  path: join(here, 'schema.ts'),
  tsconfig: join(here, 'tsconfig.json'),
  type: '*',
  expose: 'none',
  skipTypeCheck: true,
  additionalProperties: false,
});
const ajv = new Ajv({ allErrors: true, strict: false });

/* A validator for each kind of panel tells more than one for the choice of all. */
const kinds = { timeseries: 'TimeSeriesPanel', table: 'TablePanel', stat: 'StatPanel', barchart: 'BarChartPanel' };
const panels = Object.fromEntries(Object.entries(kinds).map(([kind, type]) => [kind, ajv.compile(generator.createSchema(type))]));
const dashboard = ajv.compile(generator.createSchema('Dashboard'));
const wrong = (validate, value, where) => validate(value) ? [] :
  validate.errors.map((e) => `${where}${e.instancePath}: ${e.message} ${JSON.stringify(e.params)}`);
const { version } = JSON.parse(readFileSync(join(here, 'node_modules/@grafana/schema/package.json')));
let bad = 0;

for (const file of process.argv.slice(2)) {
  const { panels: list, ...board } = JSON.parse(readFileSync(file));
  const errors = wrong(dashboard, board, '').concat(...list.map((panel) =>
    panels[panel.type] ? wrong(panels[panel.type], panel, `panel "${panel.title}"`) : [`panel type ${panel.type}`]));
  if (errors.length === 0) continue;
  bad++;
  console.error(`${file}:\n  ${[...new Set(errors)].join('\n  ')}`);
}
console.log(`${process.argv.length - 2 - bad} of ${process.argv.length - 2} dashboards agree with @grafana/schema ${version}`);
process.exit(bad ? 1 : 0);

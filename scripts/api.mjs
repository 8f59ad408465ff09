// Writes api/sotto.api.md: the public declarations without their prose, sorted by name, so that a change of the API
// shows in review. `npm run api` after changing index.d.ts; the type tests fail while the report is stale.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import ts from 'typescript';
import { at, main, say } from './lib/shell.mjs';

const declarations = 'src/wasm/js/index.d.ts';
const report = at('api', 'sotto.api.md');

/** The report as it should be. */
export function apiReport() {
  const source = ts.createSourceFile('index.d.ts', readFileSync(at(declarations), 'utf8'), ts.ScriptTarget.Latest, true);
  const printer = ts.createPrinter({ removeComments: true });
  const printed = source.statements.map((statement) => ({
    name: nameOf(statement),
    text: printer.printNode(ts.EmitHint.Unspecified, statement, source),
  }));
  printed.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  return `# API of sotto\n\nMade by \`npm run api\` from \`${declarations}\`. Not edited by hand.\n\n\`\`\`ts\n${printed
    .map(({ text }) => text)
    .join('\n\n')}\n\`\`\`\n`;
}

/** Whether the report in the repository is the report as it should be. */
export function isCurrent() {
  return existsSync(report) && readFileSync(report, 'utf8') === apiReport();
}

/** @param {ts.Statement} statement */
function nameOf(statement) {
  if (ts.isVariableStatement(statement)) return statement.declarationList.declarations[0].name.getText();
  const { name } = /** @type {{ name?: ts.Identifier }} */ (/** @type {unknown} */ (statement));
  return name?.text ?? '';
}

if (process.argv[1] === at('scripts', 'api.mjs')) {
  await main(async () => {
    mkdirSync(at('api'), { recursive: true });
    writeFileSync(report, apiReport());
    say('api/sotto.api.md is written');
  });
}

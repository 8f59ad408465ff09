// What index.d.ts declares is what index.js has, member by member, and none of it is `any`. Importing loads
// nothing: this runs in Node, where the engine could not be fetched.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import ts from 'typescript';

const declarations = new URL('../../pkg/index.d.ts', import.meta.url);
const source = ts.createSourceFile('index.d.ts', readFileSync(declarations, 'utf8'), ts.ScriptTarget.Latest, true);
const sotto = await import(new URL('../../pkg/index.js', import.meta.url).href);

/** Each declared value with its node: classes, functions, constants, enums. */
function* values() {
  for (const statement of source.statements) {
    if (ts.isClassDeclaration(statement) || ts.isFunctionDeclaration(statement) || ts.isEnumDeclaration(statement)) {
      yield { name: statement.name.text, node: statement };
    }
    if (ts.isVariableStatement(statement)) {
      for (const declaration of statement.declarationList.declarations) yield { name: declaration.name.getText(), node: declaration };
    }
  }
}

test('every value that is declared is exported, and every export is declared', () => {
  assert.deepEqual([...values()].map(({ name }) => name).sort(), Object.keys(sotto).sort());
});

test('every method and accessor that is declared is there', () => {
  const missing = [];
  for (const { name, node } of values()) {
    if (!ts.isClassDeclaration(node)) continue;
    for (const member of node.members) {
      if (!ts.isMethodDeclaration(member) && !ts.isGetAccessor(member)) continue;
      const isStatic = ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Static;
      const target = isStatic ? sotto[name] : sotto[name].prototype;
      const key = member.name.getText() === '[Symbol.asyncIterator]' ? Symbol.asyncIterator : member.name.getText();
      if (!(key in target)) missing.push(`${name}.${String(key)}`);
    }
  }
  assert.deepEqual(missing, []);
});

test('every enum has the declared numbers', () => {
  for (const { name, node } of values()) {
    if (!ts.isEnumDeclaration(node)) continue;
    const declared = Object.fromEntries(node.members.map((member) => [member.name.getText(), Number(member.initializer.getText())]));
    const actual = Object.fromEntries(Object.entries(sotto[name]).filter(([, value]) => typeof value === 'number'));
    assert.deepEqual(actual, declared, name);
  }
});

test('nothing is declared as any', () => {
  const found = [];
  const visit = (node) => {
    if (node.kind === ts.SyntaxKind.AnyKeyword) found.push(node.parent.getText());
    ts.forEachChild(node, visit);
  };
  visit(source);
  assert.deepEqual(found, []);
});

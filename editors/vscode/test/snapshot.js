// Highlights models/*.nn, tests/syntax/ok/*.nn and test/cases/*.nn with the tokenizer
// that VS Code uses, and compares the scopes with test/snapshots. With
// NNC_BLESS=1 it writes the snapshots instead. It also checks that nothing in a
// model is scoped invalid, and that each pattern of the grammar is used.
'use strict';
const fs = require('fs');
const path = require('path');

const here = __dirname;
const root = path.resolve(here, '..', '..', '..');
const grammarPath = path.join(here, '..', 'syntaxes', 'nn.tmLanguage.json');
const snapshots = path.join(here, 'snapshots');

async function main() {
  const oniguruma = require('vscode-oniguruma');
  const textmate = require('vscode-textmate');
  const wasm = fs.readFileSync(require.resolve('vscode-oniguruma/release/onig.wasm'));
  await oniguruma.loadWASM(wasm.buffer.slice(wasm.byteOffset, wasm.byteOffset + wasm.length));
  const registry = new textmate.Registry({
    onigLib: Promise.resolve({
      createOnigScanner: (patterns) => new oniguruma.OnigScanner(patterns),
      createOnigString: (text) => new oniguruma.OnigString(text),
    }),
    loadGrammar: async (scope) =>
      scope === 'source.nn'
        ? textmate.parseRawGrammar(fs.readFileSync(grammarPath, 'utf8'), grammarPath)
        : null,
  });
  const grammar = await registry.loadGrammar('source.nn');

  const failures = [];
  const seen = new Set();
  const files = [
    ...listed(path.join(root, 'models')),
    ...listed(path.join(root, 'tests', 'syntax', 'ok')),
    ...listed(path.join(here, 'cases')),
  ];
  if (files.length < 5) failures.push(`only ${files.length} files to highlight`);
  fs.mkdirSync(snapshots, { recursive: true });
  for (const file of files) {
    const text = highlight(grammar, textmate.INITIAL, fs.readFileSync(file, 'utf8'), seen);
    const name = path.basename(file) + '.snap';
    if (text.includes('invalid.illegal') && !file.includes('invalid')) {
      failures.push(`${name}: something is scoped invalid`);
    }
    const target = path.join(snapshots, name);
    if (process.env.NNC_BLESS === '1') {
      fs.writeFileSync(target, text);
    } else {
      const old = fs.existsSync(target) ? fs.readFileSync(target, 'utf8') : '';
      if (old !== text) failures.push(`${name}: ${difference(old, text)}`);
    }
  }
  const wanted = new Set(files.map((f) => path.basename(f) + '.snap'));
  for (const name of fs.readdirSync(snapshots)) {
    if (wanted.has(name)) continue;
    if (process.env.NNC_BLESS === '1') fs.unlinkSync(path.join(snapshots, name));
    else failures.push(`${name}: a snapshot without its file`);
  }
  for (const scope of scopes(JSON.parse(fs.readFileSync(grammarPath, 'utf8')))) {
    const pattern = new RegExp('^' + scope.replace(/\./g, '\\.').replace(/\$\d/g, '\\w+') + '$');
    if (![...seen].some((s) => pattern.test(s))) failures.push(`no file shows the scope ${scope}`);
  }
  if (failures.length) {
    console.error(failures.join('\n'));
    console.error('\nIf the change is meant: NNC_BLESS=1 npm test, and look at the difference.');
    process.exit(1);
  }
  console.log(`highlighting: ${files.length} files, ${seen.size} scopes, as recorded`);
}

function listed(folder) {
  if (!fs.existsSync(folder)) return [];
  return fs
    .readdirSync(folder)
    .filter((f) => f.endsWith('.nn'))
    .sort()
    .map((f) => path.join(folder, f));
}

// Each source line after `>`, then for each token that has a scope its text and scopes.
function highlight(grammar, stack, text, seen) {
  const out = [];
  for (const line of text.replace(/\n$/, '').split(/\r?\n/)) {
    const result = grammar.tokenizeLine(line, stack);
    stack = result.ruleStack;
    out.push('>' + line);
    for (const token of result.tokens) {
      const scopes = token.scopes.slice(1);
      scopes.forEach((s) => seen.add(s));
      const word = line.slice(token.startIndex, token.endIndex).trim();
      if (scopes.length && word) out.push(`    ${word}  ${scopes.join(' ')}`);
    }
  }
  return out.join('\n') + '\n';
}

function scopes(node, found = new Set()) {
  if (Array.isArray(node)) node.forEach((n) => scopes(n, found));
  else if (node && typeof node === 'object') {
    for (const [key, value] of Object.entries(node)) {
      if (key === 'name' && typeof value === 'string' && value.includes('.')) found.add(value);
      else if (key !== 'scopeName') scopes(value, found);
    }
  }
  return found;
}

function difference(old, text) {
  const a = old.split('\n');
  const b = text.split('\n');
  const at = b.findIndex((line, i) => line !== a[i]);
  return at < 0
    ? `shorter than recorded, ${b.length} lines instead of ${a.length}`
    : `line ${at + 1} is\n  ${b[at]}\nand was\n  ${a[at] ?? '(nothing)'}`;
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});

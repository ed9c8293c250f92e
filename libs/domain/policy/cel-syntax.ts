import type { ASTNode } from '@marcbachmann/cel-js';
import { READ_WIDELY } from './cel-variables.js';

/** The parts of a node, in the order of the text. */
export function childrenOf(node: ASTNode): readonly ASTNode[] {
  switch (node.op) {
    case '.':
    case '.?':
      return [node.args[0]];
    case 'call':
      return node.args[1];
    case 'rcall':
      return [node.args[1], ...node.args[2]];
    case '!_':
    case '-_':
      return [node.args];
    case 'value':
    case 'id':
      return [];
    case 'map':
      return node.args.flat();
    default:
      return node.args;
  }
}

/** The name of a member: a field, or an index that is a text or a number. */
function stepOf(node: ASTNode): { of: ASTNode; step: string } | undefined {
  if (node.op === '.') return { of: node.args[0], step: node.args[1] };
  if (node.op !== '[]') return undefined;
  const [of, key] = node.args;
  if (
    key.op !== 'value' ||
    (typeof key.args !== 'string' && typeof key.args !== 'number' && typeof key.args !== 'bigint')
  )
    return undefined;
  return { of, step: String(key.args) };
}

/** The members that a node selects from a variable, outermost first; undefined when it is no such selection. */
export function selectionOf(node: ASTNode): readonly string[] | undefined {
  if (node.op === 'id') return [node.args];
  const member = stepOf(node);
  const before = member && selectionOf(member.of);
  return member === undefined || before === undefined ? undefined : [...before, member.step];
}

/** `ROOT.FIELD` as an author writes it; undefined where a node selects anything else. */
export function variableOf(node: ASTNode): string | undefined {
  const [root, field, ...deeper] = selectionOf(node) ?? [];
  if (root === undefined || field === undefined || deeper.length > 0) return undefined;
  const [written = field] = Object.entries(READ_WIDELY).find(([, read]) => read === field) ?? [];
  return `${root}.${written}`;
}

/** A list that does not depend on the action: one of the charter's, or one written in the expression. */
export type ListNamed = { readonly name: string } | { readonly entries: readonly string[] };

export function listNamed(node: ASTNode): ListNamed | undefined {
  const selection = selectionOf(node);
  if (selection?.[0] === 'lists' && selection[1] !== undefined && selection.length === 2) return { name: selection[1] };
  if (node.op !== 'list') return undefined;
  const entries = node.args.map((one) => (one.op === 'value' && typeof one.args === 'string' ? one.args : undefined));
  return entries.every((entry) => entry !== undefined) ? { entries } : undefined;
}

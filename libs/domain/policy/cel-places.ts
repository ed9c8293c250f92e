import type { ASTNode } from '@marcbachmann/cel-js';
import type { Place } from '../matching/action-places.js';
import { childrenOf, listNamed, selectionOf, type ListNamed } from './cel-syntax.js';
import { READ_WIDELY } from './cel-variables.js';

/** What an expression has against the values at one place. */
export type ObjectionTest =
  /** It objects to items that are not in the list … */
  | { readonly objects: 'outside'; readonly list: ListNamed }
  /** … or that are in it … */
  | { readonly objects: 'inside'; readonly list: ListNamed }
  /** … or it looks at the values in a way that cannot be told item by item. */
  | { readonly objects: 'all' };

export interface ExpressionReads {
  /** Every place that is read, with what is held against its values. */
  readonly places: ReadonlyMap<Place, readonly ObjectionTest[]>;
  /** It looks at one destination alone, so it is evaluated for each. */
  readonly oneDestination: boolean;
  /** It looks at the system acted on. */
  readonly target: boolean;
}

/** Whether a part that is true makes the whole true (`yes`), false, or cannot be told. */
type Sense = 'yes' | 'no' | 'unknown';

const OPPOSITE: Readonly<Record<Sense, Sense>> = { yes: 'no', no: 'yes', unknown: 'unknown' };

/** What is objected to where one of these is true, or false: the items outside or inside of its list. */
const LIST_TESTS: Readonly<Record<string, Partial<Record<Sense, 'outside' | 'inside'>>>> = {
  inList: { yes: 'inside', no: 'outside' },
  anyInList: { yes: 'inside' },
  anyNotInList: { yes: 'outside' },
};

const DESTINATION_FIELDS: ReadonlySet<string> = new Set([
  'destination',
  'destinations',
  READ_WIDELY.destination,
  READ_WIDELY.destinations,
]);

function placeOf(selection: readonly string[] | undefined): Place | undefined {
  if (selection?.[0] !== 'action') return undefined;
  const [, field, ...path] = selection;
  if (field === undefined) return 'parameters';
  if (DESTINATION_FIELDS.has(field)) return 'destination';
  if (field !== 'parameters') return undefined;
  return path.length === 0 ? 'parameters' : `parameters.${path.join('.')}`;
}

/** What an expression reads of what a grant can name, and what it has against it. */
export function readsOf(ast: ASTNode): ExpressionReads {
  const places = new Map<Place, ObjectionTest[]>();
  let oneDestination = false;
  let target = false;

  const note = (place: Place, test: ObjectionTest): void => {
    const tests = places.get(place);
    if (tests === undefined) places.set(place, [test]);
    else tests.push(test);
  };
  const read = (node: ASTNode): Place | undefined => {
    const selection = selectionOf(node);
    if (selection?.[0] !== 'action') return undefined;
    const whole = selection.length === 1;
    if (whole || selection[1] === 'target') target = true;
    if (whole || selection[1] === 'destination' || selection[1] === READ_WIDELY.destination) oneDestination = true;
    if (whole) note('destination', { objects: 'all' });
    return placeOf(selection);
  };
  const visit = (node: ASTNode, sense: Sense): void => {
    switch (node.op) {
      case '!_':
        visit(node.args, OPPOSITE[sense]);
        return;
      case '&&':
      case '||':
        for (const part of node.args) visit(part, sense);
        return;
      case '?:': {
        const [condition, either, or] = node.args;
        visit(condition, 'unknown');
        visit(either, sense);
        visit(or, sense);
        return;
      }
      case 'call': {
        const [name, given] = node.args;
        // Whether a parameter is there is no objection to what it says.
        if (name === 'has') return;
        const [values, list] = given;
        const objects = LIST_TESTS[name]?.[sense];
        const entries = list === undefined ? undefined : listNamed(list);
        if (objects !== undefined && values !== undefined && entries !== undefined) {
          const place = read(values);
          if (place !== undefined) {
            note(place, { objects, list: entries });
            return;
          }
        }
        for (const one of given) visit(one, 'unknown');
        return;
      }
      default: {
        const place = read(node);
        if (place !== undefined) note(place, { objects: 'all' });
        else if (selectionOf(node) === undefined) for (const one of childrenOf(node)) visit(one, 'unknown');
      }
    }
  };
  visit(ast, 'yes');
  return { places, oneDestination, target };
}

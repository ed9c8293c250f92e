import type { Bus } from '#bus';
import type { EventStore } from '#event-store';

/** The store, with some of its methods replaced. */
export function storeWith<Event>(store: EventStore<Event>, instead: Partial<EventStore<Event>>): EventStore<Event> {
  return withMethods(store, instead);
}

/** The bus, with some of its methods replaced. */
export function busWith(bus: Bus, instead: Partial<Bus>): Bus {
  return withMethods(bus, instead);
}

function withMethods<Whole extends object>(whole: Whole, instead: Partial<Whole>): Whole {
  return new Proxy(whole, {
    get(target, name) {
      const method: unknown = Reflect.get(instead, name) ?? Reflect.get(target, name);
      return typeof method === 'function' ? (method.bind(target) as unknown) : method;
    },
  });
}

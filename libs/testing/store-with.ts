import type { EventStore } from '#event-store';

/** The store, with some of its methods replaced. */
export function storeWith<Event>(store: EventStore<Event>, instead: Partial<EventStore<Event>>): EventStore<Event> {
  return new Proxy(store, {
    get(target, name) {
      const method: unknown = Reflect.get(instead, name) ?? Reflect.get(target, name);
      return typeof method === 'function' ? (method.bind(target) as unknown) : method;
    },
  });
}

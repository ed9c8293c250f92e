// What may be alive of one agent, and how often it may ask. So an agent's state is bounded, and what a command costs.

/** So many ended grants, and as many ended requests, an agent's state remembers at most; the oldest are forgotten first. */
export const MAX_ENDED_REMEMBERED = 1_000;

/** What agents ask for themselves, in quick succession at most. */
export const MAX_ASKS_AT_ONCE = 60;

/** How long it takes until an agent may ask once more, ms: one ask in so long for ever, none refused. */
export const ASK_INTERVAL_MS = 10_000;

/** With so many requests of its own open an agent may not ask for more. */
export const MAX_OPEN_FOR_ASKING = 50;

/** With so many requests open that people have made for one agent nobody may make more for it. Holds do not count. */
export const MAX_OPEN_REQUESTS = 200;

/** With so many requests open that one person has made for an agent this person may not make more for it. */
export const MAX_OPEN_OF_PERSON = 20;

/** With so many actions held an agent's next one that needs approval is denied. */
export const MAX_HOLDS = 200;

/** With so many grants an agent is given no more. */
export const MAX_GRANTS = 1_000;

/** So many permissions one request asks for at most. */
export const MAX_NEEDS = 16;

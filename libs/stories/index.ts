export * from './audit-completeness.js';
export * from './door-people.js';
export * from './story-player.js';
export * from './story.js';

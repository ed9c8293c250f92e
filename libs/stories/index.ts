export * from './audit-completeness.js';
export * from './story-player.js';
export * from './story.js';

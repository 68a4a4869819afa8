// The address of <lipstream-avatar> for pages: see element/lipstream-avatar.js.

export * from './element/lipstream-avatar.js';

// <lipstream-avatar> for applications: importing it defines the element.

import { LipstreamAvatar } from './element/lipstream-avatar.js';

// These files come from no lipstream server: each element must name one.
LipstreamAvatar.home = '';

export { LipstreamAvatar };
export { ApiError } from './element/api.js';

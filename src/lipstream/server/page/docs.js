// The API's description as a page. A file of its own: the policy forbids inline scripts.

import { showWebSocket } from './docs-websocket.js';

SwaggerUIBundle({
  url: 'openapi.json',
  dom_id: '#http',
  deepLinking: true,
  validatorUrl: null,
});

showWebSocket('asyncapi.json', document.querySelector('#websocket'));

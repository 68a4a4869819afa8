// The API's description as a page. A file of its own: the policy forbids inline scripts.

SwaggerUIBundle({
  url: 'openapi.json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  validatorUrl: null,
});

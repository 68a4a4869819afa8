// The WebSocket's description: a table for each message, made from the AsyncAPI document.

/** Fills `place` with the document at `url`. */
export async function showWebSocket(url, place) {
  const description = await (await fetch(url)).json();
  place.append(
    element('h2', 'WebSocket'),
    ...address(description.channels.audio),
    ...description.info.description.trim().split('\n\n').map((text) => element('p', text)),
  );
  for (const operation of Object.values(description.operations)) {
    place.append(element('h3', operation.summary));
    const name = operation.channel.$ref.split('/').at(-1);
    const messages = operation.messages.map(({ $ref }) => description.components.messages[$ref.split('/').at(-1)]);
    if (name !== 'audio') place.append(...address(description.channels[name]));
    if (name === 'events') {
      const titles = messages.map(({ title }) => `\`${title}\``);
      place.append(element('p', titles.join(', ')));
    } else {
      for (const message of messages) place.append(...shown(message, description.components.schemas));
    }
  }
}

/** The address of a socket, and the rates of its sound. */
function address(channel) {
  const rate = channel.bindings.ws.query.properties.sample_rate;
  if (!rate) return [element('pre', `WS ${channel.address}`)];
  return [
    element('pre', `WS ${channel.address}?sample_rate=${rate.default}`),
    element('p', `\`sample_rate\`: ${rate.enum.join(', ')} Hz`),
  ];
}

function shown(message, schemas) {
  const parts = [element('h4', message.title), element('p', message.summary)];
  if (!message.payload.$ref) return parts; // bytes
  const schema = schemas[message.payload.$ref.split('/').at(-1)];
  const table = element('table');
  for (const [name, field] of Object.entries(schema.properties)) {
    const row = table.insertRow();
    const optional = field.const === undefined && !schema.required?.includes(name);
    row.append(
      Object.assign(element('th', name), { scope: 'row' }),
      element('td', optional ? `${kind(field)}, optional` : kind(field)),
      element('td', note(field)),
    );
  }
  return [...parts, table];
}

/** The type of a field, such as `integer or null`, or its only value. */
function kind(field) {
  if (field.const !== undefined) return JSON.stringify(field.const);
  return (field.anyOf ?? [field]).map((one) => one.type ?? JSON.stringify(one.const)).join(' or ');
}

function note(field) {
  const [example] = field.examples ?? [];
  const shown = example === undefined ? '' : `Example: ${JSON.stringify(example)}`;
  return [field.description, shown].filter(Boolean).join(' ');
}

/** An element with text, whose `code` is between backticks. */
function element(name, text = '') {
  const made = document.createElement(name);
  text.split('`').forEach((part, index) => {
    made.append(index % 2 ? Object.assign(document.createElement('code'), { textContent: part }) : part);
  });
  return made;
}

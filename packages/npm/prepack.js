// Puts the element's modules, which the server's package owns, into this one.

import { cpSync, rmSync } from 'node:fs';

const here = new URL('.', import.meta.url);
const repository = new URL('../../', here);

rmSync(new URL('element', here), { recursive: true, force: true });
cpSync(new URL('src/lipstream/server/page/element', repository), new URL('element', here), {
  recursive: true,
});
cpSync(new URL('LICENSE', repository), new URL('LICENSE', here));

// Files dropped anywhere on the page.

/** Calls one of `handlers` with the first file, by kind: face (picture or clip), sound, other. */
export function catchDrops(veil, handlers) {
  let inside = 0; // elements that the pointer has entered and not left
  const carriesFiles = ({ dataTransfer }) => dataTransfer?.types.includes('Files');
  const show = () => veil.classList.toggle('shown', inside > 0);

  addEventListener('dragenter', (event) => {
    if (!carriesFiles(event)) return;
    inside += 1;
    show();
  });
  addEventListener('dragleave', (event) => {
    if (!carriesFiles(event)) return;
    inside -= 1;
    show();
  });
  addEventListener('dragover', (event) => {
    if (carriesFiles(event)) event.preventDefault();
  });
  addEventListener('drop', (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    inside = 0;
    show();
    const [file] = event.dataTransfer.files;
    if (file) handlers[kind(file)](file);
  });
}

function kind({ type }) {
  if (type.startsWith('image/') || type.startsWith('video/')) return 'face';
  return type.startsWith('audio/') ? 'sound' : 'other';
}

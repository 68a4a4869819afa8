// Files dropped anywhere on the page.

const FACES = (
  'avif bmp gif heic heif jfif jpeg jpg jxl png tif tiff webp 3gp avi m4v mkv mov mp4 mpeg mpg ' +
  'ogv ts webm wmv'
).split(' ');
const SOUNDS = 'aac ac3 aif aiff amr caf flac m4a mka mp3 oga ogg opus wav wma'.split(' ');

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

/** What a file is by its type, or else by the end of its name: systems know no type of some. */
export function kind({ type, name }) {
  if (type.startsWith('image/') || type.startsWith('video/')) return 'face';
  if (type.startsWith('audio/') || type === 'application/ogg') return 'sound';
  const ending = name.slice(name.lastIndexOf('.') + 1).toLowerCase();
  if (FACES.includes(ending)) return 'face';
  return SOUNDS.includes(ending) ? 'sound' : 'other';
}

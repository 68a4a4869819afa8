// Keeps lips and voice together at the viewer's end.
//
// Browsers let sound wait longer than pictures, and align the two slowly and only to within some
// 30 ms: lips run ahead a little, and by more for many seconds after the network or the machine
// was busy. So pictures are asked to wait as much longer as the statistics say they are early.
// After a stall a browser keeps pictures up to those 30 ms too long, for good: nobody can ask it
// to keep them shorter, but the sound can be asked to wait for them.

const ASKED = 'jitterBufferTarget'; // of a receiver
const CLOSE = 6; // ms; nobody sees less
const SENSELESS = 1_000; // ms; before the first sender reports the statistics tell anything
const SHARE = 0.4; // of the difference that is corrected at each reading, lest it swings
const REACH = 80; // ms by which what is asked for may differ from what came of it
const FIRST = 50; // ms, asked for until the statistics tell anything: what a calm line comes to
const LONGEST = 400; // ms
// ms. What is later is made earlier by the browser itself, unless the sound has gone to meet it.
const LEFT_ALONE = 35;

/** Asks the pictures of one connection to wait, or else its sound. */
export class LipSync {
  #pictures;
  #sound;
  #wait = FIRST; // ms that pictures are asked to wait, in all
  #lift = 0; // ms that sound is asked to wait longer than it would by itself

  /** Both are RTCRtpReceivers. */
  constructor(pictures, sound) {
    this.#pictures = pictures;
    this.#sound = sound;
    ask(pictures, FIRST);
  }

  /**
   * Takes a reading; each of them ms, or null where the browser does not tell.
   *
   * `late`: pictures against sound. `waited`: pictures, in their buffer. `floor`: how long sound
   * would wait in its own if nobody asked for more.
   */
  follow(late, waited, floor) {
    if (late === null || waited === null || Math.abs(late) > SENSELESS) return;
    const step = Math.abs(late) < CLOSE ? 0 : SHARE * Math.abs(late);
    if (late < 0) this.#delayPictures(step, waited);
    else if (this.#wait) this.#wait = Math.max(Math.min(this.#wait, waited + REACH) - step, 0);
    else if (floor !== null && ASKED in this.#sound) this.#liftSound(step, late);
    ask(this.#pictures, this.#wait);
    if (floor !== null) ask(this.#sound, this.#lift && floor + this.#lift);
  }

  #delayPictures(step, waited) {
    if (this.#lift) {
      this.#lift = Math.max(this.#lift - step, 0);
    } else if (step) {
      // Decoding and showing take their part of what is asked for, so it is more than was waited.
      // A network that makes pictures wait longer by itself has to be asked for more than that.
      this.#wait = Math.max(Math.min(this.#wait, waited + REACH), waited) + step;
    }
  }

  #liftSound(step, late) {
    this.#lift = late > LEFT_ALONE ? 0 : Math.min(this.#lift + step, LEFT_ALONE);
  }
}

function ask(receiver, ms) {
  // Browsers that cannot be asked are left to themselves.
  if (!(ASKED in receiver)) return;
  const whole = Math.round(Math.min(ms, LONGEST));
  if (receiver[ASKED] !== whole) receiver[ASKED] = whole;
}

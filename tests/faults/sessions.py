"""Faults of sessions and of what draws for them: turns, hung processes, other processors."""

from __future__ import annotations

from tests.faults.fault import Fault, Promise

POOL = "rendering/puppet/worker_pool.py"
EXIT = "server/forced_exit.py"
TEST_POOL = "rendering/puppet/test_worker_pool.py"
TEST_EXIT = "server/test_forced_exit.py::test_two_signals_end_the_server"

TURNS = Promise(
    "turns",
    "all speech of a session is spoken, whoever sends it",
    (
        Fault(
            "a file goes on where a socket still speaks",
            "live/session/session.py",
            "        buffer = self._speech.open(sample_rate)\n",
            "        waiting = self._speech.waiting\n"
            "        buffer = waiting[-1] if waiting else self._speech.open(sample_rate)\n",
            (
                "server/test_turns.py::test_a_socket_and_a_file_take_turns",
                "server/test_turns.py::test_a_microphone_and_a_file_take_turns",
            ),
        ),
        Fault(
            "a socket that is replaced leaves its words open",
            "server/api/audio_socket.py",
            '        """Let go of the session at once: it ends, or a newer socket takes over."""\n'
            "        self._end_utterance()\n",
            '        """Let go of the session at once: it ends, or a newer socket takes over."""\n'
            "        self._utterance = None\n",
            ("server/test_turns.py::test_a_replaced_socket_ends_its_words_and_spoils_none",),
        ),
    ),
)

HANGS = Promise(
    "hangs",
    "a process that hangs is replaced, and two signals end the server",
    (
        Fault(
            "a drawing process that hangs is waited for",
            POOL,
            "if worker.silence.seconds > limit:",
            "if False:",
            (
                f"{TEST_POOL}::test_a_worker_that_dies_or_hangs_is_replaced_and_costs_no_picture",
                "live/test_worker_faults.py::test_sessions_go_on_when_a_worker_dies_or_hangs",
            ),
        ),
        Fault(
            "the end waits for a drawing process that hangs",
            "rendering/puppet/worker_process.py",
            "        except subprocess.TimeoutExpired:\n            self.process.kill()\n",
            "        except subprocess.TimeoutExpired:\n            pass\n",
            (f"{TEST_POOL}::test_closing_while_drawing_and_loading_fails_what_is_in_flight",),
        ),
        Fault(
            "signals wait for what hangs",
            EXIT,
            "    if threading.current_thread() is not threading.main_thread():\n",
            "    if True:\n",
            (TEST_EXIT,),
        ),
        Fault(
            "a child that hangs outlives the server",
            EXIT,
            "    _kill_children()\n    log",
            "    log",
            (TEST_EXIT,),
        ),
    ),
)

PROCESSORS = Promise(
    "processors",
    "a render is nearly the same on processors with and without newer instructions",
    (
        Fault(
            "what a processor can do changes how far a mouth opens",
            "speech/articulation/encoder.py",
            "                self._outputs.append(output[:-1] * np.float32(opening))\n",
            "                import cv2\n\n"
            "                share = 1 - 0.001 * cv2.checkHardwareSupport(cv2.CPU_AVX2)\n"
            "                self._outputs.append(output[:-1] * np.float32(opening * share))\n",
            ("test_instruction_sets.py::test_an_older_processor_shows_the_same",),
        ),
        Fault(
            "two renders of one machine differ",
            "speech/articulation/encoder.py",
            "                self._outputs.append(output[:-1] * np.float32(opening))\n",
            "                import os\n\n"
            "                share = 1 - 1e-3 * (os.getpid() % 7)\n"
            "                self._outputs.append(output[:-1] * np.float32(opening * share))\n",
            ("test_instruction_sets.py::test_the_same_processor_shows_the_same_bytes",),
        ),
    ),
)

PROMISES = (TURNS, HANGS, PROCESSORS)

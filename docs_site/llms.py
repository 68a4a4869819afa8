"""llms.txt: the pages and what is in them, for programs that read. https://llmstxt.org"""

from __future__ import annotations

from collections.abc import Mapping

SUMMARY = (
    "Speech in, a talking face out, live: one portrait or short clip and a stream of speech become "
    "25 lip-synced frames a second, in a browser over WebRTC or in a file."
)
NOTES = (
    "The server and its HTTP and WebSocket API are described at `/openapi.json` and "
    "`/asyncapi.json` of any running server. Each page below is Markdown."
)
DESCRIPTIONS = {
    "index.md": "installation, a first video, a first live session, settings",
    "live.md": "the page, the element and its attributes, text, captions, session tokens, sound",
    "recipes.md": "programs for backends, webhooks, texts, React, Prometheus",
    "server.md": "every route, WebSocket message, option, limit and metric of `lipstream serve`",
    "containers.md": "the image, compose with TURN and Prometheus, systemd",
    "scale.md": "many processes and machines at one address: `serve --workers`, `front`, nginx",
    "outputs.md": "sessions kept as mp4 with captions, or pushed to servers of streams",
    "pipecat.md": "a face for Pipecat bots: in their process, or over a server",
    "simli.md": "applications made for Simli, and Pipecat's service for it, on this server",
    "livekit.md": "a face for LiveKit agents: the plugin, a server that joins rooms, its API",
    "python.md": "programs for files, streams of frames, live sessions, FastAPI, the original API",
    "reference.md": "signatures and docstrings of all public names",
    "inputs.md": "which pictures and clips are taken, and what becomes of them",
    "examples.md": "the example programs and pages",
    "npm.md": "the element as an npm package with types and a React component",
    "score.md": "what the figures of `lipstream score` mean and how they are measured",
    "weights.md": "what `lipstream models` downloads for MuseTalk, and how it is checked",
    "performance.md": "how speed is measured, and what was found",
    "security.md": "what the server protects, its limits, and what it does not protect",
    "design.md": "the path of the data, decisions and their reasons",
    "benchmarks.md": "the programs behind every figure",
    "training.md": "how the puppet's speech network was trained and how well it hears",
    "small_musetalk.md": "how the MuseTalk of 5 MB in examples/tiny was trained",
    "contributing.md": "how to set up, test and change the code",
    "changelog.md": "what changed",
}


def llms_text(pages: Mapping[str, str]) -> str:
    """The file for pages {title: name}."""
    links = [f"- [{title}]({name}): {DESCRIPTIONS[name]}" for title, name in pages.items()]
    return "\n".join(["# lipstream", "", f"> {SUMMARY}", "", NOTES, "", "## Docs", "", *links, ""])

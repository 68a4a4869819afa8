"""An agent with a face: python agent.py dev

    pip install 'livekit-agents[openai]>=1.8,<2' '/path/to/lipstream[livekit]'
    pip install /path/to/lipstream/packages/livekit-plugins-lipstream
    export LIVEKIT_URL=... LIVEKIT_API_KEY=... LIVEKIT_API_SECRET=... OPENAI_API_KEY=...
    export AVATAR=anna.png

AVATAR is a picture, a clip or an .avatar file, drawn in this process. With LIPSTREAM_URL, and where
it has a token LIPSTREAM_API_KEY, it is the id of an avatar of that server, which joins the room.
"""

from __future__ import annotations

import os

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli
from livekit.plugins import openai
from livekit.plugins.lipstream import AvatarSession

server = AgentServer()


@server.rtc_session()
async def entrypoint(ctx: JobContext) -> None:
    """Talk to whoever is in the room."""
    session = AgentSession(stt=openai.STT(), llm=openai.LLM(), tts=openai.TTS())
    avatar = AvatarSession(avatar=os.environ["AVATAR"])
    await ctx.connect()
    await avatar.start(session, room=ctx.room)
    await session.start(agent=Agent(instructions="Be friendly and brief."), room=ctx.room)
    session.generate_reply(instructions="Greet the user.")


if __name__ == "__main__":
    cli.run_app(server)

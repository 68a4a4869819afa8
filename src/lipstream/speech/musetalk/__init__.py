"""MuseTalk's speech encoders: Whisper and HuBERT, and the windows they are read through."""

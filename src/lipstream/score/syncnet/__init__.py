"""LSE-C and LSE-D: SyncNet's distance of lips and sound, for those who have its weights.

The network is that of Chung and Zisserman, "Out of time: automated lip sync in the wild" (2016),
prepared and read as its public evaluation does (github.com/joonson/syncnet_python, MIT).
"""

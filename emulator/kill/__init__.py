"""Killing for real: functions die by SIGKILL at random while members are on their way; nobody may be lost, nothing doubled."""

"""Faces in pictures: found, measured, followed and smoothed."""

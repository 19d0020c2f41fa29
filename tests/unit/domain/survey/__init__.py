"""The rules of surveys, one by one."""

"""Accounts: what people do with their own, and what admins do with them."""

from application.user.administration import SETUP_LIFETIME, AdministerUser, CreateAdmin, CreateUser, GetUser, ListUsers, ResetUser, Setup
from application.user.own import ChangePassword, HashNewPassword, Register, SetPassword, UpdateProfile
from application.user.told import new_user_entry

__all__ = [
    "SETUP_LIFETIME",
    "AdministerUser",
    "ChangePassword",
    "CreateAdmin",
    "CreateUser",
    "GetUser",
    "HashNewPassword",
    "ListUsers",
    "Register",
    "ResetUser",
    "SetPassword",
    "Setup",
    "UpdateProfile",
    "new_user_entry",
]

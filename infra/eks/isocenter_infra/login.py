"""Cognito: the users, and the viewer as a public client (code flow with PKCE)."""

from dataclasses import dataclass

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_cognito as cognito

from isocenter_infra.settings import Settings


@dataclass(frozen=True)
class Login:
    """What the viewer and the tile proxy are told."""

    pool_id: str
    client_id: str
    domain: str


def login(stack: Stack, settings: Settings) -> Login:
    """User pool, client and domain. The pool stays, for its users do.

    Users are invited (no sign-up), and a second factor is asked for.
    """
    pool = cognito.UserPool(
        stack,
        "Users",
        user_pool_name=settings.name_prefix,
        self_sign_up_enabled=False,
        sign_in_aliases=cognito.SignInAliases(email=True),
        sign_in_case_sensitive=False,
        mfa=cognito.Mfa.REQUIRED,
        mfa_second_factor=cognito.MfaSecondFactor(otp=True, sms=False),
        account_recovery=cognito.AccountRecovery.EMAIL_ONLY,
        password_policy=cognito.PasswordPolicy(
            min_length=14,
            require_digits=True,
            require_lowercase=True,
            require_symbols=True,
            require_uppercase=True,
            temp_password_validity=Duration.days(3),
        ),
        deletion_protection=True,
        removal_policy=RemovalPolicy.RETAIN,
    )
    site = f"https://{settings.domain}"
    client = pool.add_client(
        "Viewer",
        user_pool_client_name=f"{settings.name_prefix}-viewer",
        # A page in a browser keeps no secret; PKCE stands in for it.
        generate_secret=False,
        o_auth=cognito.OAuthSettings(
            flows=cognito.OAuthFlows(
                authorization_code_grant=True,
                implicit_code_grant=False,
                client_credentials=False,
            ),
            scopes=[
                cognito.OAuthScope.OPENID,
                cognito.OAuthScope.PROFILE,
                cognito.OAuthScope.EMAIL,
            ],
            callback_urls=[f"{site}/callback"],
            logout_urls=[f"{site}/"],
        ),
        supported_identity_providers=[cognito.UserPoolClientIdentityProvider.COGNITO],
        prevent_user_existence_errors=True,
        enable_token_revocation=True,
        access_token_validity=Duration.hours(1),
        id_token_validity=Duration.hours(1),
        refresh_token_validity=Duration.hours(12),
    )
    # Unique in the region, whoever's account it is.
    prefix = f"{settings.name_prefix}-{stack.account}"
    cognito.CfnUserPoolDomain(
        stack, "UserDomain", user_pool_id=pool.user_pool_id, domain=prefix
    )
    return Login(
        pool_id=pool.user_pool_id,
        client_id=client.user_pool_client_id,
        domain=f"https://{prefix}.auth.{stack.region}.amazoncognito.com",
    )
